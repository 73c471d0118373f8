import { type ShellWord, shellWords } from "../../shared/shell-words.ts";

/** How the words of a command were found. */
export interface Reading {
  /** Values must be such as the runbook takes; else a placeholder such as NAME may stand for one. */
  exact: boolean;
  /** Nobody has said where the command ends: it does not end with a bare word. */
  isProse: boolean;
}

/** What stands instead of a command: `words` are those behind `pgdba`, `source` is as it was written. Null where it is none, or stays as it is. */
export type Instead = (words: readonly string[], reading: Reading, source: string) => string | null;

/** Words of a command in a text; one that has more stays as it is. A text may be anybody's, and each of its words may be the last of a command. */
const MOST_WORDS = 60;

/** The text with what stands instead of each command in it. */
export function replaceCommands(text: string, instead: Instead): string {
  const parts: string[] = [];
  let from = 0;
  for (const { index } of text.matchAll(/(?<![\w./-])pgdba (?=[a-z])/g)) {
    if (index < from) continue;
    const found = insteadAt(text, index, instead);
    if (found === null) continue;
    parts.push(text.slice(from, index), found.said);
    from = found.end;
  }
  return [...parts, text.slice(from)].join("");
}

/** Of the longest command that begins there. Where the text does not say its end, a bare word is taken for prose unless a flag follows. */
function insteadAt(
  text: string,
  at: number,
  instead: Instead,
): { said: string; end: number } | null {
  const words = sentence(shellWords(text, at + "pgdba ".length, MOST_WORDS + 1));
  if (words.length > MOST_WORDS) return null;
  const whole = words.at(-1)?.end;
  // What was cut off in the middle of a word is no command any more.
  if (/^(…| ?['"])/.test(text.slice(whole))) return null;
  const quoted = text[at - 1] === "`" && text[whole ?? at] === "`";
  for (let count = words.length; count > 0; count--) {
    const { end } = words[count - 1]!;
    const taken = words.slice(0, count).map(({ word }) => word);
    const isAll = at === 0 && end === text.length;
    const reading = { exact: !quoted, isProse: !quoted && !isAll };
    const said = instead(taken, reading, text.slice(at, end));
    // One that would leave flags of its own behind is none.
    if (said !== null) return words[count]?.word.startsWith("-") ? null : { said, end };
    if (quoted) return null;
  }
  return null;
}

/** The words up to the first punctuation mark that ends a part of a sentence, and to where another command begins. */
function sentence(all: readonly ShellWord[]): ShellWord[] {
  const next = all.findIndex(({ word, quoted }) => !quoted && word === "pgdba");
  const words = next === -1 ? all : all.slice(0, next);
  const last = words.findIndex(({ word, quoted }) => !quoted && /[.,:]$/.test(word));
  if (last === -1) return [...words];
  const { word, end } = words[last]!;
  const bare = word.replace(/[.,:]+$/, "");
  const stop = { word: bare, end: end - (word.length - bare.length), quoted: false };
  return [...words.slice(0, last), ...(bare === "" ? [] : [stop])];
}
