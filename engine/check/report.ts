import { diagnostic } from "../load/frame.ts";
import type { Diagnostic, Doc, DocPath, Span } from "../types.ts";
import { within } from "./locate.ts";
import type { SchemaProblem } from "./messages.ts";

export interface Finding {
  rule: string;
  message: string;
  hint?: string | undefined;
  severity?: Diagnostic["severity"];
}

/** Collects what is wrong with one document, each thing at its place. */
export interface Report {
  /** At the value at `path`, or at its key. */
  add(path: DocPath, finding: Finding, key?: boolean): void;
  /** At the characters `[start, end)` of the text `value` at `path`. */
  addWithin(path: DocPath, value: string, start: number, end: number, finding: Finding): void;
  /** Problems of the value at `base` against its schema. */
  addSchema(base: DocPath, problems: SchemaProblem[]): void;
  /** Line of the value at `path`, from 1. */
  lineOf(path: DocPath): number;
  /** In the order of the file. */
  sorted(): Diagnostic[];
}

export function createReport(doc: Pick<Doc, "at">): Report {
  const found: { span: Span; diagnostic: Diagnostic }[] = [];
  const push = (span: Span, finding: Finding): void => {
    found.push({ span, diagnostic: diagnostic(span, span.text, finding) });
  };
  return {
    add(path, finding, key = false) {
      push(doc.at(path, key), finding);
    },
    addWithin(path, value, start, end, finding) {
      push(within(doc.at(path), value, start, end), finding);
    },
    addSchema(base, problems) {
      for (const { path, key, ...finding } of problems)
        push(doc.at([...base, ...path], key), finding);
    },
    lineOf: (path) => doc.at(path).line,
    sorted() {
      // A fault that two checks find, an outer and an inner one, is reported once.
      const distinct = [
        ...new Map(
          found.map((one) => [
            `${one.span.file}:${one.span.offset}:${one.diagnostic.message}`,
            one,
          ]),
        ).values(),
      ];
      const ordered = distinct.toSorted(
        (a, b) => a.span.file.localeCompare(b.span.file) || a.span.offset - b.span.offset,
      );
      return ordered.map((one) => one.diagnostic);
    },
  };
}
