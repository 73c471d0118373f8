import { isAlias, isMap, isScalar, isSeq, type ParsedNode, type Scalar } from "yaml";
import { LIMITS } from "./limits.ts";
import { measure, type Source, type Tree, type TreeMap } from "./tree.ts";

/** Takes one fault of the file between two offsets. */
export type Report = (
  start: number,
  end: number,
  rule: string,
  message: string,
  hint: string,
) => void;

/** Keys that reach an object's prototype in careless code further on. */
const RESERVED = new Set(["__proto__", "constructor", "prototype"]);

/** The composed document as a tree of plain values; `report` continues, `refuse` does not. */
export function valueTree(
  root: ParsedNode | null,
  source: Source,
  report: Report,
  refuse: Report,
): Tree {
  const anchors = new Map<string, { tree: Tree; nodes: number; depth: number }>();
  let nodes = 0;

  function count(added: number, node: ParsedNode): void {
    nodes += added;
    if (nodes <= LIMITS.nodes) return;
    refuse(
      node.range[0],
      node.range[1],
      "too-many-nodes",
      `more than ${LIMITS.nodes} values`,
      "Split the document.",
    );
  }

  function deep(levels: number, node: ParsedNode): void {
    if (levels <= LIMITS.depth) return;
    refuse(
      node.range[0],
      node.range[0] + 1,
      "too-deep",
      `more than ${LIMITS.depth} levels deep`,
      "Flatten the document.",
    );
  }

  function build(node: ParsedNode | null, at: number, level: number): Tree {
    if (node === null) return { source, start: at, end: at, value: null };
    const [start, end] = node.range;
    if (isAlias(node)) {
      const known = anchors.get(node.source);
      if (!known) {
        report(
          start,
          end,
          "unknown-anchor",
          `no anchor &${node.source} is complete above this alias`,
          "Define the anchor first; it can't hold itself.",
        );
        return { source, start, end, value: null };
      }
      count(known.nodes, node);
      deep(level + known.depth, node);
      return { source, start, end, value: known.tree.value };
    }
    count(1, node);
    const tree: Tree = { source, start, end, value: null };
    if (isMap(node)) {
      deep(level + 1, node);
      tree.value = map(node.items as { key: ParsedNode; value: ParsedNode | null }[], level + 1);
    } else if (isSeq(node)) {
      deep(level + 1, node);
      tree.value = (node.items as ParsedNode[]).map((item) => build(item, start, level + 1));
    } else {
      tree.value = scalar(node as Scalar.Parsed);
    }
    if (node.anchor) anchors.set(node.anchor, { tree, ...measure(tree) });
    return tree;
  }

  function map(items: { key: ParsedNode; value: ParsedNode | null }[], level: number): TreeMap {
    const entries: TreeMap = new Map();
    for (const pair of items) {
      const [start, end] = pair.key.range;
      const value = build(pair.value, end, level);
      const key = keyOf(pair.key, source.text.startsWith("{{", start - 1));
      if (key === undefined) continue;
      if (entries.has(key)) {
        report(
          start,
          end,
          "duplicate-key",
          `the key "${key}" stands twice in this map`,
          "Remove or rename one of the two.",
        );
        continue;
      }
      entries.set(key, { ...value, key: { start, end } });
    }
    return entries;
  }

  function keyOf(node: ParsedNode, braces: boolean): string | undefined {
    const [start, end] = node.range;
    if (!isScalar(node) || typeof node.value !== "string") {
      const hint = braces
        ? "Put a text that begins with {{ in quotes."
        : "Put the key in quotes; only text can be a key.";
      report(start, end, "non-string-key", "a key must be text", hint);
      return undefined;
    }
    const key = scalar(node) as string;
    if (RESERVED.has(key)) {
      report(start, end, "reserved-key", `the key "${key}" is not allowed`, "Choose another name.");
      return undefined;
    }
    if (key === "<<") {
      report(
        start,
        end,
        "merge-key",
        "merge keys (<<) are not allowed",
        "Write the entries out, or use `extends:`.",
      );
      return undefined;
    }
    return key;
  }

  function scalar(node: Scalar.Parsed): string | number | boolean | null {
    const { value, range, source: written } = node;
    const [start, end] = range;
    if (typeof value === "number") {
      const changed = !Number.isSafeInteger(value) && /^[-+]?\d+$|^0[xo]/.test(written);
      if (Number.isFinite(value) && !changed) return value;
      report(
        start,
        end,
        "unsafe-number",
        `${written.slice(0, 40)} can't be kept exactly as a number`,
        "Put it in quotes.",
      );
      return null;
    }
    if (typeof value === "string") {
      // The file holds none, but an escape such as "\0" makes one.
      if (/[\p{Cc}--[\t\n\r]]/v.test(value)) {
        report(
          start,
          end,
          "control-character",
          "this text holds an escaped control character",
          "Remove the escape.",
        );
      }
      return value;
    }
    return value as boolean | null;
  }

  return build(root, 0, 0);
}
