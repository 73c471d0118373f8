import type { Json } from "../types.ts";

/** Characters of a message, a hint, a warning or a line of a log that are kept: no person reads more of one. */
const MAX_MESSAGE = 8 * 1024;
/** The limits for one text in the evidence of an error, and for all of them together. */
const MAX_TEXT = 64 * 1024;
const MAX_EVIDENCE = 4 * 1024 * 1024;

/** A text of bounded length that says how long it was; `whole` where it has been cut before. */
export function cut(text: string, limit = MAX_MESSAGE, whole = text.length): string {
  if (text.length <= limit) return text;
  // A character that takes two units is not cut in half.
  const end = /[\ud800-\udbff]/.test(text[limit - 1] ?? "") ? limit - 1 : limit;
  return `${text.slice(0, end)} … (cut: ${whole} characters)`;
}

/** The evidence of an error with its texts cut; what is too large altogether is only said to be. */
export function cutEvidence(data: Json): Json {
  let left = MAX_EVIDENCE;
  const walk = (value: Json): Json => {
    if (typeof value === "string") {
      const text = cut(value, MAX_TEXT);
      left -= text.length;
      return text;
    }
    left -= 8;
    if (value === null || typeof value !== "object" || left < 0) return left < 0 ? null : value;
    if (Array.isArray(value)) return value.map(walk);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        left -= key.length;
        return [key, walk(item)];
      }),
    );
  };
  const kept = walk(data);
  return left < 0 ? { cut: `more than ${MAX_EVIDENCE} characters` } : kept;
}
