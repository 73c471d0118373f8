import type { Document, Node, Pair } from "yaml";
import { type ErrorCode, PgdbaError } from "../errors.ts";

/**
 * The plain value of a YAML text in which people name a cluster or settings: one document, no tags, no aliases, no key twice. What
 * is wrong is said with its line, and without repeating the text, which may hold a password in the wrong place. `failsafe` leaves
 * every value as the text that was written.
 * @throws PgdbaError `code`
 */
export async function parseYaml(
  text: string,
  file: string,
  { code, schema = "core" }: { code: ErrorCode; schema?: "core" | "failsafe" },
): Promise<unknown> {
  const { isAlias, isCollection, isMap, isPair, isScalar, LineCounter, parseDocument } =
    await import("yaml");
  const lines = new LineCounter();
  const refused = (offset: number, message: string): PgdbaError =>
    new PgdbaError(code, `${file}:${lines.linePos(offset).line || 1}: ${message}`, {
      hint: "Correct that line; a text with special characters goes in quotes.",
    });
  const check = (node: unknown): void => {
    if (isPair(node)) return [node.key, node.value].forEach(check);
    const { tag, range } = (node ?? {}) as Partial<Node>;
    const at = range?.[0] ?? 0;
    if (isAlias(node)) throw refused(at, "aliases are not allowed");
    // Tags such as !!omap stand for objects that are not plain.
    if (tag !== undefined) throw refused(at, "tags are not allowed");
    if (isMap(node)) {
      const keys = new Set<unknown>();
      for (const { key } of node.items as Pair[]) {
        if (!isScalar(key)) throw refused(at, "a key is not a text");
        if (keys.has(key.value)) throw refused(key.range?.[0] ?? at, "a key stands twice");
        keys.add(key.value);
      }
    }
    if (isCollection(node)) node.items.forEach(check);
  };
  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      schema,
      // The package compares every key with every other one.
      uniqueKeys: false,
      resolveKnownTags: false,
      prettyErrors: false,
      logLevel: "error",
      lineCounter: lines,
    });
    const [error] = document.errors;
    if (error) throw refused(error.pos[0], `not YAML: ${error.message}`);
    check(document.contents);
  } catch (thrown) {
    // The parser and the walk are recursive.
    if (thrown instanceof RangeError) throw refused(0, "too many levels inside one another");
    throw thrown;
  }
  return document.toJS({ maxAliasCount: 0 });
}
