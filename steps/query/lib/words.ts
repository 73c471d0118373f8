const OPERATOR = String.raw`[+\-*/<>=~!@#%^&|?\x60]+`;
const NAME = String.raw`"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*`;
const TOKEN = new RegExp(String.raw`'(?:[^']|'')*'|(${NAME})(\s*\()?|(${OPERATOR})`, "gu");
const WORD = new RegExp(NAME, "gu");
const SYMBOL = new RegExp(OPERATOR, "g");

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

/** Every word and operator of a text that somebody wrote, such as a function's: comments and strings too, rather than missing one. */
export function wordsIn(text: string): { words: string[]; operators: string[] } {
  const words = [...text.matchAll(WORD)].flatMap(([name]) => [plain(name), name.toLowerCase()]);
  const operators = [...text.matchAll(SYMBOL)].map(([symbol]) => symbol);
  return { words, operators };
}

function plain(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
