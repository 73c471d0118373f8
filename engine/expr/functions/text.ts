import { ValueError } from "../operators.ts";
import { MAX_PATTERN, Regex, RegexError } from "../regex/regex.ts";
import { List, type Value } from "../values.ts";
import type { Work } from "../work.ts";
import { shown, toText } from "./convert.ts";

/** True when a text has characters beyond 16 bits, which are two units of JavaScript's strings and one of CEL's. */
const isWide = (text: string): boolean => /[\ud800-\udfff]/.test(text);

/** Characters, not UTF-16 units. */
export const size = (text: string): bigint => BigInt(pointsBefore(text, text.length));

/** Charges for a search, which compares `inner` at every place of `text` at worst. */
function chargeSearch(text: string, inner: string, work: Work): void {
  work.charge(Math.floor((text.length * inner.length) / 16_384));
}

export function contains(text: string, inner: string, work: Work): boolean {
  chargeSearch(text, inner, work);
  return text.includes(inner);
}

/** The number of characters in the first `units` of a text. */
function pointsBefore(text: string, units: number): number {
  if (!isWide(text)) return units;
  let points = 0;
  for (let at = 0; at < units; at += text.codePointAt(at)! > 0xffff ? 2 : 1) points++;
  return points;
}

/** The place where the character `index` begins, in UTF-16; -1 when the text has fewer (`index` may be its size). */
function unitOf(text: string, index: bigint): number {
  if (index < 0n || index > BigInt(text.length)) return -1;
  if (!isWide(text)) return Number(index);
  let at = 0;
  for (let left = Number(index); left > 0; left--) {
    if (at >= text.length) return -1;
    at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  }
  return at;
}

function outside(text: string, call: string): ValueError {
  return new ValueError(
    `${call} is outside a text of ${pointsBefore(text, text.length)} characters`,
    "Test size(text) first.",
  );
}

export function charAt(text: string, index: bigint): string {
  const at = unitOf(text, index);
  if (at === -1) throw outside(text, `charAt(${index})`);
  return at === text.length ? "" : String.fromCodePoint(text.codePointAt(at)!);
}

/** The first place of `inner` at or after `from`; -1 when there is none. */
export function indexOf(text: string, inner: string, from: bigint, work: Work): bigint {
  chargeSearch(text, inner, work);
  const start = unitOf(text, from);
  if (start === -1) throw outside(text, `indexOf(..., ${from})`);
  const found = text.indexOf(inner, start);
  return found === -1 ? -1n : BigInt(pointsBefore(text, found));
}

/** The last place of `inner` at or before `from`, or in all of the text; -1 when there is none. */
export function lastIndexOf(
  text: string,
  inner: string,
  from: bigint | undefined,
  work: Work,
): bigint {
  chargeSearch(text, inner, work);
  const start = from === undefined ? text.length : unitOf(text, from);
  if (start === -1) throw outside(text, `lastIndexOf(..., ${from})`);
  const found = text.lastIndexOf(inner, start);
  return found === -1 ? -1n : BigInt(pointsBefore(text, found));
}

export function substring(text: string, from: bigint, to: bigint | undefined): string {
  const start = unitOf(text, from);
  const end = to === undefined ? text.length : unitOf(text, to);
  if (start === -1 || end === -1 || start > end)
    throw outside(text, `substring(${from}${to === undefined ? "" : `, ${to}`})`);
  return text.slice(start, end);
}

/** An empty separator parts the characters. */
const pieces = (text: string, separator: string): string[] =>
  separator === "" ? [...text] : text.split(separator);

export function split(text: string, separator: string, limit: bigint, work: Work): Value {
  work.charge(text.length);
  chargeSearch(text, separator, work);
  const parts = pieces(text, separator);
  if (limit < 0n || BigInt(parts.length) <= limit) return List.of(parts);
  if (limit === 0n) return List.of([]);
  const kept = Number(limit) - 1;
  return List.of([...parts.slice(0, kept), parts.slice(kept).join(separator)]);
}

export function join(list: List, separator: string, work: Work): string {
  work.charge(list.size);
  const parts = Array.from(list, (item) => toText(item, work));
  work.text(parts.reduce((length, part) => length + part.length + separator.length, 0));
  return parts.join(separator);
}

/** Replaces the first `limit`, or all when it is negative. Empty text is found before, between and after all characters. */
export function replace(text: string, from: string, to: string, limit: bigint, work: Work): string {
  work.charge(text.length);
  chargeSearch(text, from, work);
  const parts = from === "" ? ["", ...text, ""] : text.split(from);
  const found = parts.length - 1;
  const count = limit < 0n || limit > BigInt(found) ? found : Number(limit);
  work.text(text.length + count * to.length);
  const done = parts.slice(0, count + 1).join(to);
  return count === found ? done : [done, ...parts.slice(count + 1)].join(from);
}

export function reverse(text: string, work: Work): string {
  work.charge(text.length >> 2);
  return [...text].toReversed().join("");
}

const lowerA = /[A-Z]+/g;
const upperA = /[a-z]+/g;
export const lowerAscii = (text: string): string =>
  text.replace(lowerA, (letters) => letters.toLowerCase());
export const upperAscii = (text: string): string =>
  text.replace(upperA, (letters) => letters.toUpperCase());

const SPACES = new Set(
  "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
);

/** Without white space, as Unicode defines it, at both ends. */
export function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && SPACES.has(text[start]!)) start++;
  while (end > start && SPACES.has(text[end - 1]!)) end--;
  return text.slice(start, end);
}

const MAX_PATTERNS = 100;
/** The cost of reading a character of a pattern. */
const UNITS_TO_READ = 20;
const patterns = new Map<string, Regex>();

/** The compiled pattern; remembered. @throws ValueError */
export function regex(pattern: string, work: Work): Regex {
  let compiled = patterns.get(pattern);
  if (compiled) return compiled;
  work.charge(Math.min(pattern.length, MAX_PATTERN) * UNITS_TO_READ);
  try {
    compiled = new Regex(pattern);
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    throw new ValueError(
      `the pattern ${shown(pattern)} is refused: ${error.message}`,
      "Use startsWith, endsWith or contains, or match in SQL.",
    );
  }
  if (patterns.size >= MAX_PATTERNS) patterns.delete(patterns.keys().next().value!);
  work.charge(compiled.size);
  patterns.set(pattern, compiled);
  return compiled;
}
