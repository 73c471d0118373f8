import { PgdbaError } from "../errors.ts";
import type { Diagnostic, Json, Span } from "../types.ts";

/** Columns of a source line shown in a frame; a longer line is cut around the fault. */
const WIDTH = 120;

/** A fault in words. */
interface Fault {
  rule: string;
  message: string;
  hint?: string | undefined;
  /** `error` by default. */
  severity?: Diagnostic["severity"] | undefined;
  /** The number of preceding lines that are shown as well. */
  before?: number;
}

/** A diagnostic for `span`, with its source line and a caret under the fault. */
export function diagnostic(
  span: Span,
  fileText: string,
  { rule, message, hint, severity = "error", before = 0 }: Fault,
): Diagnostic {
  const { file, line, column } = span;
  return {
    severity,
    rule,
    message: printable(message),
    ...(hint === undefined ? {} : { hint: printable(hint) }),
    where: { file, line, column },
    frame: frame(span, fileText, before),
  };
}

/** `file:line:column: message`, the source line, a caret and the hint, for each. */
export function formatDiagnostics(list: readonly Diagnostic[]): string {
  return list
    .map((d) => {
      const { file, line, column } = d.where;
      const head = `${file}:${line}:${column}: ${d.severity}: ${d.message} [${d.rule}]`;
      const hint = d.hint === undefined ? "" : `  hint: ${d.hint}`;
      return [head, d.frame, hint].filter((part) => part !== "").join("\n");
    })
    .join("\n\n");
}

/** The error that carries `found` (at least one) in order of place, and speaks in the words of the first. */
export function invalidRunbook(found: readonly Diagnostic[]): PgdbaError {
  const diagnostics = found.toSorted(({ where: a }, { where: b }) => {
    if (a.file !== b.file) return a.file < b.file ? -1 : 1;
    return a.line - b.line || a.column - b.column;
  });
  const first = diagnostics[0]!;
  const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : "";
  return new PgdbaError("invalid_runbook", first.message + more, {
    where: first.where,
    hint: first.hint ?? "Correct the marked line; `pgdba lint` checks without running anything.",
    data: { diagnostics: diagnostics as unknown as Json },
  });
}

function frame(span: Span, text: string, before: number): string {
  const gutter = String(span.line).length + 2;
  let start = span.offset - (span.column - 1);
  const end = lineEnd(text, start);
  const column = span.offset - start;
  const cut = column > WIDTH - 40 ? column - 40 : 0;
  const source = text.slice(start + cut, Math.min(end, start + cut + WIDTH));
  const prefix = source.slice(0, column - cut);
  const marked = source.slice(prefix.length, prefix.length + Math.max(1, span.length));
  const caret = " ".repeat(width(prefix)) + "^".repeat(Math.max(1, width(marked)));
  const lines = [
    `${String(span.line).padStart(gutter)} | ${printable(source)}`,
    `${" ".repeat(gutter)} | ${caret}`,
  ];
  for (let i = 1; i <= before && start > 0; i++) {
    const previous = text.lastIndexOf("\n", start - 2) + 1;
    const shown = text.slice(
      previous + cut,
      Math.min(lineEnd(text, previous), previous + cut + WIDTH),
    );
    lines.unshift(`${String(span.line - i).padStart(gutter)} | ${printable(shown)}`);
    start = previous;
  }
  return lines.join("\n");
}

function lineEnd(text: string, from: number): number {
  const at = text.indexOf("\n", from);
  if (at < 0) return text.length;
  return text[at - 1] === "\r" ? at - 1 : at;
}

/** A file can hold escape sequences; a message about it must not act on the terminal. */
function printable(text: string): string {
  return text.replace(/\t/g, " ").replace(/[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
}

function width(text: string): number {
  return Bun.stringWidth(printable(text));
}
