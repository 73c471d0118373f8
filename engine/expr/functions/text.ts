import { ValueError } from "../operators.ts";
import { Regex, RegexError } from "../regex.ts";
import { List, type Value } from "../values.ts";
import type { Work } from "../work.ts";
import { shown, toText } from "./convert.ts";

export function split(text: string, separator: string, limit: number, work: Work): Value {
  work.charge(text.length);
  const parts = text.split(separator);
  if (limit < 0 || parts.length <= limit) return List.of(parts);
  if (limit === 0) return List.of([]);
  return List.of([...parts.slice(0, limit - 1), parts.slice(limit - 1).join(separator)]);
}

export function join(list: List, separator: string, work: Work): string {
  work.charge(list.size);
  const parts = Array.from(list, toText);
  work.text(parts.reduce((length, part) => length + part.length + separator.length, 0));
  return parts.join(separator);
}

export function substring(text: string, from: bigint, to: bigint): string {
  const size = BigInt(text.length);
  if (from < 0n || from > to || to > size) {
    throw new ValueError(
      `substring(${from}, ${to}) is outside a text of ${size} characters`,
      "Test size(text) first.",
    );
  }
  return text.slice(Number(from), Number(to));
}

export function replace(text: string, from: string, to: string, work: Work): string {
  work.charge(text.length);
  const pieces = text.split(from);
  work.text(text.length + (pieces.length - 1) * to.length);
  return pieces.join(to);
}

const MAX_PATTERNS = 100;
const patterns = new Map<string, Regex>();

/** The compiled pattern; remembered. @throws ValueError */
export function regex(pattern: string): Regex {
  let compiled = patterns.get(pattern);
  if (compiled) return compiled;
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
  patterns.set(pattern, compiled);
  return compiled;
}
