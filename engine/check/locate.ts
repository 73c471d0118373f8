import type { Span } from "../types.ts";

/**
 * The part `[start, end)` of a scalar's value as a span of its file, however YAML wrote it: plain, quoted, escaped,
 * folded or as a block. `span` is the whole scalar.
 */
export function within(span: Span, value: string, start: number, end: number): Span {
  const raw = span.text.slice(span.offset, span.offset + span.length);
  const from = rawIndex(raw, value, start);
  const to = Math.max(from + 1, rawIndex(raw, value, Math.max(start, end - 1)) + 1);
  const offset = span.offset + Math.min(from, Math.max(0, span.length - 1));
  const before = span.text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return {
    file: span.file,
    text: span.text,
    offset,
    length: Math.max(1, Math.min(to, span.length) - from),
    line: before.split("\n").length,
    column: offset - lineStart + 1,
  };
}

/**
 * The place in `raw` of the character `index` of `value`. Walks both: characters that are not blank stand in both in the same
 * order, but for the escapes of quoted scalars, which are stepped over.
 */
function rawIndex(raw: string, value: string, index: number): number {
  let at = 0;
  const quote = raw[0] === '"' || raw[0] === "'" ? raw[0] : "";
  if (quote !== "") at = 1;
  else if (/^[|>]/.test(raw) && raw !== value) at = Math.max(0, raw.indexOf("\n") + 1);
  for (let i = 0; i < value.length; i++) {
    for (;;) {
      if (quote === '"' && raw[at] === "\\" && raw[at + 1] === "\n") at += 2;
      else if (at < raw.length && raw[at] !== value[i] && isBlank(raw[at])) at++;
      else break;
    }
    if (i === index) return at;
    if (raw[at] === value[i] && raw[at] !== "\\" && !(quote === "'" && raw[at] === "'")) at++;
    else if (quote === '"' && raw[at] === "\\") at += ESCAPE_LENGTHS[raw[at + 1] ?? ""] ?? 2;
    else if (quote === "'" && raw[at] === "'") at += 2;
    else if (!isBlank(value[i])) at++;
  }
  return at;
}

const ESCAPE_LENGTHS: Record<string, number> = { x: 4, u: 6, U: 10 };

function isBlank(char: string | undefined): boolean {
  return char === " " || char === "\t" || char === "\n" || char === "\r";
}
