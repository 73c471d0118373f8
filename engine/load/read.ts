import { errnoOf, readBytes } from "../shared/read-file.ts";
import { diagnostic, invalidRunbook } from "./frame.ts";
import { LIMITS } from "./limits.ts";
import { parseTree, tooLarge } from "./parse.ts";
import { fault, type Tree } from "./tree.ts";

/** A file as its tree. */
export type Read = (file: string) => Tree;

/** Reads and parses; the same file once. */
export function reader(): Read {
  const known = new Map<string, Tree>();
  return (file) => {
    const tree = known.get(file) ?? readDocument(file);
    known.set(file, tree);
    return tree;
  };
}

function readDocument(file: string): Tree {
  const tree = parseTree(decode(bytesOf(file), file), file);
  if (tree.value instanceof Map) return tree;
  throw invalidRunbook([
    fault(
      tree,
      "not-a-map",
      "a document is a map of keys",
      "Begin it with `summary:`, `risk:` and `steps:`.",
    ),
  ]);
}

function bytesOf(file: string): Buffer {
  try {
    return readBytes(file, { maxBytes: LIMITS.bytes });
  } catch (error) {
    throw errnoOf(error) === "EFBIG" ? tooLarge(file) : error;
  }
}

function decode(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const span = { file, line: 1, column: 1, offset: 0, length: 0, text: "" };
    const error = invalidRunbook([
      diagnostic(span, "", {
        rule: "not-utf8",
        message: "the file is not UTF-8 text",
        hint: "Save it as UTF-8.",
      }),
    ]);
    error.cause = cause;
    throw error;
  }
}
