import { ExprError } from "../ast.ts";
import { Uint } from "../uint.ts";

type Span = { start: number; end: number };

/** The value of a number as written; of a whole one the magnitude, which may still be too large for an int. @throws ExprError */
export function numberOf(text: string, at: Span): bigint | number | Uint {
  const isUnsigned = /[uU]$/.test(text);
  const digits = isUnsigned ? text.slice(0, -1) : text;
  if (!isUnsigned && !digits.startsWith("0x") && /[.eE]/.test(digits)) {
    const value = Number(digits);
    if (Number.isFinite(value)) return value;
    throw new ExprError(at, `${text} is too large for a double`, "Write a smaller number.");
  }
  const value = BigInt(digits);
  if (!isUnsigned) return value;
  if (value < 2n ** 64n) return new Uint(value);
  throw new ExprError(at, `${text} does not fit a 64-bit uint`, "Write 1.0 instead of 1u.");
}

const ESCAPE =
  /\\(?:([abfnrtv\\?"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))/y;
const CONTROL: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** The text between quotes, which begins at `from`; text, or the bytes of `b'...'`. @throws ExprError */
export function textOfLiteral(
  body: string,
  from: number,
  { isRaw, isBytes }: { isRaw: boolean; isBytes: boolean },
): string | Uint8Array {
  if (isRaw || !body.includes("\\")) return isBytes ? new TextEncoder().encode(body) : body;
  const bytes: number[] = [];
  let text = "";
  let plain = 0;
  const put = (piece: string): void => {
    if (isBytes) bytes.push(...new TextEncoder().encode(piece));
    else text += piece;
  };
  for (let at = body.indexOf("\\"); at !== -1; at = body.indexOf("\\", plain)) {
    put(body.slice(plain, at));
    ESCAPE.lastIndex = at;
    const found = ESCAPE.exec(body);
    if (!found) throw badEscape(body, at, from);
    plain = at + found[0].length;
    const [whole, simple, hex, short, long, octal] = found;
    const code =
      octal === undefined ? Number(`0x${hex ?? short ?? long ?? 0}`) : parseInt(octal, 8);
    if (simple !== undefined) put(CONTROL[simple] ?? simple);
    else if (isBytes && (short ?? long) !== undefined)
      throw new ExprError(
        { start: from + at, end: from + plain },
        `${whole} is for text, not for bytes`,
        "Write the bytes as \\x00 to \\xff, or the character itself.",
      );
    else if (isBytes) bytes.push(code);
    else if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      throw new ExprError(
        { start: from + at, end: from + plain },
        `${whole} is no character of Unicode`,
        "Beyond \\uffff write \\U and eight digits.",
      );
    else put(String.fromCodePoint(code));
  }
  put(body.slice(plain));
  return isBytes ? new Uint8Array(bytes) : text;
}

function badEscape(body: string, at: number, from: number): ExprError {
  const shown = `\\${body[at + 1] ?? ""}`;
  return new ExprError(
    { start: from + at, end: from + Math.min(at + 2, body.length) },
    `${shown} is no escape in a text`,
    "Write a backslash itself as \\\\, or the text as r'...'.",
  );
}
