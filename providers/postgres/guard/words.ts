// The server's lexer takes every byte above ASCII as a letter, an emoji and a no-break space too (scan.l, ident_start).
const BARE = String.raw`[A-Za-z_\u{80}-\u{10FFFF}][A-Za-z0-9_$\u{80}-\u{10FFFF}]*`;
const OPERATOR = String.raw`[+\-*/<>=~!@#%^&|?\x60]+`;
const NAME = String.raw`"(?:[^"]|"")+"|${BARE}`;
// A text with a quote in it is two that follow each other: a choice at each character would make the engine give up on one of a megabyte, and see nothing behind it.
const TOKEN = new RegExp(String.raw`'[^']*'|(${NAME})(\s*\()?|(${OPERATOR})`, "gu");
const WORD = new RegExp(BARE, "gu");
const SYMBOL = new RegExp(OPERATOR, "g");
/** Longer names are cut off (NAMEDATALEN): in bytes of the database's encoding, which may be one for a character. */
const LONGEST = 63;

/** The functions and operators in expressions as the server writes them, quoted as it quotes. */
export function callsIn(expression: string): { functions: string[]; operators: string[] } {
  const functions: string[] = [];
  const operators: string[] = [];
  for (const [, name, call, operator] of expression.matchAll(TOKEN)) {
    if (name !== undefined && call !== undefined) functions.push(plain(name));
    if (operator !== undefined) operators.push(operator);
  }
  return { functions, operators };
}

/**
 * Every word and operator that a text which somebody wrote may hold, a function's body or a statement: whatever is quoted or a
 * comment in it, rather than missing one. Between any two double quotes that follow each other may stand a quoted name.
 */
export function wordsIn(text: string): { words: string[]; operators: string[] } {
  const words = new Set<string>();
  for (const [word] of text.matchAll(WORD)) {
    addWord(words, word);
    // `$function$SELECT` is a tag and a word.
    if (word.includes("$")) for (const piece of word.split("$")) addWord(words, piece);
  }
  for (const segment of text.split('"').slice(1, -1))
    for (const name of cut(segment)) words.add(name);
  const operators = new Set<string>();
  for (const [symbol] of text.matchAll(SYMBOL)) addSymbol(operators, symbol);
  return { words: [...words], operators: [...operators] };
}

/** False when a name in it may be written in a way that `wordsIn` does not see through: `U&"\0061"`, `"a""b"`. */
export function isReadable(text: string): boolean {
  return !/U&["']/i.test(text) && !text.includes('""');
}

/** Without quotes a name is folded to lower case; in UTF-8 the server does so for ASCII only. */
function addWord(words: Set<string>, word: string): void {
  const folded = word.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  for (const form of [word, folded, word.toLowerCase()])
    for (const name of cut(form)) words.add(name);
}

function cut(name: string): string[] {
  if (name.length <= LONGEST / 4) return [name];
  let bytes = 0;
  let end = 0;
  for (const letter of name) {
    bytes += Buffer.byteLength(letter);
    if (bytes > LONGEST) break;
    end += letter.length;
  }
  return [name.slice(0, end), Array.from(name).slice(0, LONGEST).join("")];
}

/** The comments and signs around an operator decide where it begins and ends. */
function addSymbol(operators: Set<string>, symbol: string): void {
  for (let start = 0; start < symbol.length; start++)
    for (let end = start + 1; end <= Math.min(symbol.length, start + LONGEST); end++)
      operators.add(symbol.slice(start, end));
}

function plain(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
