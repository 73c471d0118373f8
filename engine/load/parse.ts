import { Composer, CST, type Document, Lexer, Parser, type ParsedNode } from "yaml";
import type { DocPath, Diagnostic, Json, Span } from "../types.ts";
import { diagnostic, invalidRunbook } from "./frame.ts";
import { LIMITS } from "./limits.ts";
import { syntaxFaults } from "./syntax.ts";
import { sourceOf, spanAt, spanIn, toJson, type Tree } from "./tree.ts";
import { valueTree, type Report } from "./value.ts";

export interface ParsedDoc {
  data: Json;
  /** The place where the value at `path` (or, with `key`, its key) was written; the nearest written ancestor when it was not. */
  at(path: DocPath, key?: boolean): Span;
  text: string;
  file: string;
}

/**
 * Reads a YAML 1.2 document (core schema) as plain data with positions. `file` is only named in messages.
 * @throws PgdbaError invalid_runbook with all faults in `data.diagnostics`. Beyond bad syntax these are refused: what exceeds
 * `LIMITS`, several documents, directives, tags, merge keys, duplicate, non-text and prototype keys, control characters, numbers
 * that would be changed by reading them.
 */
export function parseDocument(text: string, file: string): ParsedDoc {
  const root = parseTree(text, file);
  return {
    data: toJson(root),
    at: (path, key) => spanAt(root, path, key),
    text: root.source.text,
    file,
  };
}

/** `parseDocument` for those who go on working with positions. */
export function parseTree(written: string, file: string): Tree {
  // A byte order mark would shift the columns of the first line.
  const source = sourceOf(file, written.startsWith("\ufeff") ? written.slice(1) : written);
  const { text } = source;
  const faults: Diagnostic[] = [];
  const report: Report = (start, end, rule, message, hint) => {
    faults.push(diagnostic(spanIn(source, start, end), text, { rule, message, hint }));
    if (faults.length >= LIMITS.faults) throw invalidRunbook(faults);
  };
  const refuse: Report = (...fault) => {
    report(...fault);
    throw invalidRunbook(faults);
  };

  if (Buffer.byteLength(text) > LIMITS.bytes) throw tooLarge(file);
  const control =
    /[\p{Cc}--[\t\n\r]]|\r(?!\n)|[\p{Cs}\u202a-\u202e\u2066-\u2069\ufffe\uffff]/v.exec(text);
  if (control) {
    const code = control[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    refuse(
      control.index,
      control.index + 1,
      "control-character",
      `the file holds the control character U+${code}`,
      "Remove it; a runbook is plain UTF-8 text with LF or CRLF line ends.",
    );
  }

  const { tokens, unclosed } = tokenize(text, report, refuse);
  const { contents, errors } = compose(tokens, text, refuse);
  faults.push(...syntaxFaults(errors, source, unclosed));
  if (errors.length > 0) throw invalidRunbook(faults);
  const root = valueTree(contents, source, report, refuse);
  if (faults.length > 0) throw invalidRunbook(faults);
  return root;
}

/** The refusal of a file by its size, before it is read. */
export function tooLarge(file: string) {
  const span: Span = { file, line: 1, column: 1, offset: 0, length: 0, text: "" };
  const message = `the file is larger than ${LIMITS.bytes / 1024} KiB`;
  return invalidRunbook([
    diagnostic(span, "", {
      rule: "too-large",
      message,
      hint: "Split it; a runbook can call another with `run:`.",
    }),
  ]);
}

/**
 * Lexes and parses to concrete syntax, both of which keep their own stack, and stops at what the (recursive) composer
 * should not be given.
 */
function tokenize(text: string, report: Report, refuse: Report) {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  let count = 0;
  let aliases = 0;
  let scalar = false;
  const unclosed = new Map<number, number>();
  for (const lexeme of new Lexer().lex(text)) {
    const start = parser.offset;
    const end = start + lexeme.length;
    // The text of a plain or block scalar follows a marker and may look like anything.
    const type: CST.TokenType | null = scalar ? null : CST.tokenType(lexeme);
    scalar = type === "scalar";
    for (const token of parser.next(lexeme)) tokens.push(token);

    // Each escape may be an error of its own to the composer.
    count += type === "double-quoted-scalar" ? lexeme.split("\\").length : 1;
    if (count > LIMITS.tokens) {
      refuse(start, end, "too-large", `more than ${LIMITS.tokens} tokens`, "Split the document.");
    }
    if (parser.stack.length > LIMITS.depth && depth(parser.stack) > LIMITS.depth) {
      refuse(
        start,
        end,
        "too-deep",
        `more than ${LIMITS.depth} levels deep`,
        "Flatten the document.",
      );
    }
    if (type === "alias" && ++aliases > LIMITS.aliases) {
      refuse(
        start,
        end,
        "too-many-aliases",
        `more than ${LIMITS.aliases} aliases`,
        "Write the values out, or make them a param.",
      );
    }
    if (type === "single-quoted-scalar" || type === "double-quoted-scalar") {
      if (lexeme.length === 1 || !lexeme.endsWith(lexeme[0]!)) unclosed.set(end, start);
    }
    if (type === "tag") {
      report(
        start,
        end,
        "tag",
        `the tag ${lexeme.slice(0, 40)} is not allowed`,
        "Remove it; put a text in quotes where its type matters.",
      );
    }
    if (type === "directive-line") {
      report(
        start,
        end,
        "directive",
        "YAML directives are not allowed",
        "Remove the line that begins with %.",
      );
    }
  }
  for (const token of parser.end()) tokens.push(token);
  return { tokens, unclosed };
}

function depth(stack: readonly CST.Token[]): number {
  return stack.filter((token) => "items" in token).length;
}

function compose(tokens: CST.Token[], text: string, refuse: Report) {
  const composer = new Composer({
    version: "1.2",
    schema: "core",
    // The package compares every key with every other one; `valueTree` looks for duplicates in linear time.
    uniqueKeys: false,
    stringKeys: false,
    merge: false,
    // It would make of !!omap and others what is neither a map, a list nor a value.
    resolveKnownTags: false,
    prettyErrors: false,
    logLevel: "silent",
  });
  let first: Document.Parsed<ParsedNode> | undefined;
  for (const document of composer.compose(tokens, true, text.length)) {
    if (first) {
      const start = document.range[0];
      refuse(
        start,
        start + 3,
        "multiple-documents",
        "a file holds one document, this one has more",
        "Put each document in a file of its own.",
      );
    }
    first = document;
  }
  return first!;
}
