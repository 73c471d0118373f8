/** `word` as it is typed into a shell, so that the shell gives it on as it stands. */
export function shellQuoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A word of a command in a text: what the shell makes of it, where it ends in the text, and whether its end was typed in quotes. */
export interface ShellWord {
  word: string;
  end: number;
  quoted: boolean;
}

const PLAIN = /[\w@%+=:,./-]+/y;
const SINGLE = /'([^']*)'/y;
const DOUBLE = /"((?:[^"\\]|\\[\s\S])*)"/y;
const ESCAPED = /\\([\s\S])/y;

/** The words of a command from `at` on, to the end of the text or to what no word is written with: a backtick, a semicolon, a bracket; no more than `most`. */
export function shellWords(text: string, at: number, most = Infinity): ShellWord[] {
  const words: ShellWord[] = [];
  for (let next = at; next < text.length && words.length < most;) {
    const found = wordAt(text, next);
    if (found === null) break;
    words.push(found);
    if (text[found.end] !== " ") break;
    next = found.end + 1;
  }
  return words;
}

function wordAt(text: string, at: number): ShellWord | null {
  let [word, end, quoted] = ["", at, false];
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = end;
    const found = pattern.exec(text);
    if (found === null) return undefined;
    end = pattern.lastIndex;
    return found[1] ?? found[0];
  };
  for (;;) {
    const plain = take(PLAIN);
    const inner = plain === undefined ? (take(SINGLE) ?? take(ESCAPED)) : undefined;
    const part = plain ?? inner ?? take(DOUBLE)?.replaceAll(/\\([\s\S])/g, "$1");
    if (part === undefined) return end === at ? null : { word, end, quoted };
    word += part;
    quoted = plain === undefined;
  }
}
