import { type ShellWord, shellWords } from "../../shared/shell-words.ts";
import { callOf, type Door, type ToolCall } from "./call.ts";

/**
 * A whole text that is one command as a call; null for any other text, and for a command that only a person can give: on another target than the one that is
 * fixed, with a file of the machine, or of pgdba's own.
 */
export function callOfCommand(text: string, door: Door): ToolCall | null {
  const words = shellWords(text, 0);
  if (words[0]?.word !== "pgdba" || words.at(-1)?.end !== text.length) return null;
  const said = words.slice(1).map(({ word }) => word);
  return callOf(said, door, { exact: true, isProse: false });
}

/** The text with each command in it that is one of the tools' as the tool with its arguments. */
export function withCalls(text: string, door: Door): string {
  const parts: string[] = [];
  let from = 0;
  for (const { index } of text.matchAll(/(?<![\w./-])pgdba (?=[a-z])/g)) {
    if (index < from) continue;
    const found = callAt(text, index, door);
    if (found === null) continue;
    const { call, end } = found;
    parts.push(text.slice(from, index), `${call.tool} ${JSON.stringify(call.arguments)}`);
    from = end;
  }
  return [...parts, text.slice(from)].join("");
}

/** The longest command that begins there. Where the text does not say its end, a bare word is taken for prose unless a flag follows. */
function callAt(text: string, at: number, door: Door): { call: ToolCall; end: number } | null {
  const words = sentence(shellWords(text, at + "pgdba ".length));
  const whole = words.at(-1)?.end;
  // What was cut off in the middle of a word is no command any more.
  if (/^(…| ?['"])/.test(text.slice(whole))) return null;
  const quoted = text[at - 1] === "`" && text[whole ?? at] === "`";
  for (let count = words.length; count > 0; count--) {
    const { end } = words[count - 1]!;
    const taken = words.slice(0, count).map(({ word }) => word);
    const isAll = at === 0 && end === text.length;
    const call = callOf(taken, door, { exact: !quoted, isProse: !quoted && !isAll });
    // One that would leave flags of its own behind is none.
    if (call !== null) return words[count]?.word.startsWith("-") ? null : { call, end };
    if (quoted) return null;
  }
  return null;
}

/** Ends at what ends a part of a sentence. */
function sentence(words: readonly ShellWord[]): ShellWord[] {
  const last = words.findIndex(({ word, quoted }) => !quoted && /[.,:]$/.test(word));
  if (last === -1) return [...words];
  const { word, end } = words[last]!;
  const bare = word.replace(/[.,:]+$/, "");
  const stop = { word: bare, end: end - (word.length - bare.length), quoted: false };
  return [...words.slice(0, last), ...(bare === "" ? [] : [stop])];
}
