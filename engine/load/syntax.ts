import type { ErrorCode, YAMLParseError } from "yaml";
import type { Diagnostic } from "../types.ts";
import { diagnostic } from "./frame.ts";
import { LIMITS } from "./limits.ts";
import { spanIn, type Source } from "./tree.ts";

const NESTED = "yaml-block-as-implicit-key";

const HINTS: Partial<Record<ErrorCode, string>> = {
  BAD_DQ_ESCAPE: "Use single quotes where a backslash means itself.",
  BAD_SCALAR_START: "Put the text in quotes.",
  BLOCK_AS_IMPLICIT_KEY:
    "Put a text that contains ': ' in quotes, or begin a new line for the inner key.",
  BLOCK_IN_FLOW: "Inside [ ] and { } write everything in the bracket style.",
  BAD_INDENT: "Close the bracket, and indent what stands inside it.",
  MISSING_CHAR: "Close the quote or bracket, or add the missing ':' or '-'.",
  MULTILINE_IMPLICIT_KEY: "Write key: value, with the ':' on the same line as the key.",
  TAB_AS_INDENT: "Indent with spaces; YAML allows no tabs there.",
  UNEXPECTED_TOKEN: "Put a text that contains { } [ ] , # or ': ' in quotes.",
};

/**
 * The parser's errors as diagnostics, one per line: the others of a line follow from the first.
 * `unclosed` gives for the end of an unclosed quoted text where it begins; the parser only notices at the end.
 */
export function syntaxFaults(
  errors: readonly YAMLParseError[],
  source: Source,
  unclosed: ReadonlyMap<number, number>,
): Diagnostic[] {
  const byLine = new Map<number, Diagnostic>();
  for (const error of errors.slice(0, LIMITS.faults)) {
    const start = unclosed.get(error.pos[0]) ?? error.pos[0];
    const found = misindented(error, source);
    if (found) {
      // A line indented too far also makes the one above it look wrong.
      const above = spanIn(source, start, start).line;
      if (above < found.where.line && byLine.get(above)?.rule === NESTED) byLine.delete(above);
      byLine.set(found.where.line, found);
      continue;
    }
    const rule = `yaml-${error.code.toLowerCase().replaceAll("_", "-")}`;
    const end = start === error.pos[0] ? Math.max(error.pos[1], start + 1) : start + 1;
    const message = error.message.charAt(0).toLowerCase() + error.message.slice(1);
    const hint = HINTS[error.code];
    const fault = diagnostic(spanIn(source, start, end), source.text, { rule, message, hint });
    if (!byLine.has(fault.where.line)) byLine.set(fault.where.line, fault);
  }
  return [...byLine.values()];
}

/** The error at the line whose indentation is its cause, if that is its cause. */
function misindented(
  { code, message, pos }: YAMLParseError,
  source: Source,
): Diagnostic | undefined {
  const { text, lines } = source;
  const multiline = code === "MULTILINE_IMPLICIT_KEY";
  if (!multiline && code !== "BAD_INDENT" && !message.startsWith("Sequence item without"))
    return undefined;
  // If a key goes on over a line end, its last line is the one that should have been apart.
  let { line } = spanIn(source, multiline ? pos[1] : pos[0], pos[1]);
  const startsLine = multiline || pos[0] <= lines[line - 1]! + indentOf(source, line);
  if (!startsLine) return undefined;
  while (!multiline && line < lines.length && isBlank(source, line)) line++;
  const above = lineAbove(source, line);
  const indent = indentOf(source, line);
  if (!above || above.column === indent + 1) return undefined;
  const start = lines[line - 1]!;
  return diagnostic(spanIn(source, start + indent, multiline ? pos[1] : start + indent + 1), text, {
    rule: "yaml-bad-indent",
    message: `bad indentation: this line begins in column ${indent + 1}, the one above it in column ${above.column}`,
    hint: "Begin all entries of one map or list in the same column, and the parts of an entry further right.",
    before: Math.min(3, line - above.line),
  });
}

/** The nearest line above that holds content, and the column that content begins in (past `- `). */
function lineAbove(source: Source, below: number): { line: number; column: number } | undefined {
  for (let line = below - 1; line >= 1; line--) {
    if (isBlank(source, line)) continue;
    return { line, column: /^[ \t]*(?:- +)*/.exec(lineText(source, line))![0].length + 1 };
  }
  return undefined;
}

function isBlank(source: Source, line: number): boolean {
  return /^[ \t]*(?:#.*)?\r?\n?$/.test(lineText(source, line));
}

function indentOf(source: Source, line: number): number {
  return /^[ \t]*/.exec(lineText(source, line))![0].length;
}

function lineText({ text, lines }: Source, line: number): string {
  return text.slice(lines[line - 1], lines[line]);
}
