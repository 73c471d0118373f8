import type { DocPath, Json, Span } from "../types.ts";
import { diagnostic } from "./frame.ts";

/** A file as read, with the offset at which each of its lines starts. */
export interface Source {
  file: string;
  text: string;
  lines: readonly number[];
}

/** A value with the place it was written at. Parts of one tree may come from several files, once `extends` is resolved. */
export interface Tree {
  source: Source;
  start: number;
  end: number;
  /** The key it stands under in a map, in the same file. */
  key?: { start: number; end: number };
  value: null | boolean | number | string | Tree[] | TreeMap;
}

export type TreeMap = Map<string, Tree>;

export function sourceOf(file: string, text: string): Source {
  const lines = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines.push(at + 1);
  return { file, text, lines };
}

export function spanIn(source: Source, start: number, end: number): Span {
  const { lines, text, file } = source;
  const offset = Math.min(start, text.length);
  let low = 0;
  let high = lines.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (lines[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return {
    file,
    line: low + 1,
    column: offset - lines[low]! + 1,
    offset,
    length: Math.max(0, Math.min(end, text.length) - offset),
    text,
  };
}

function spanOf(tree: Tree, key = false): Span {
  const { start, end } = (key && tree.key) || tree;
  return spanIn(tree.source, start, end);
}

/** A diagnostic at the value of `tree`, or at its key. */
export function fault(tree: Tree, rule: string, message: string, hint?: string, key = false) {
  return diagnostic(spanOf(tree, key), tree.source.text, { rule, message, hint });
}

export function child(tree: Tree, key: string | number): Tree | undefined {
  const { value } = tree;
  if (value instanceof Map) return value.get(String(key));
  return Array.isArray(value) && typeof key === "number" ? value[key] : undefined;
}

/** Span of the value (or key) at `path`, or of the nearest ancestor that was written. */
export function spanAt(root: Tree, path: DocPath, key = false): Span {
  let at = root;
  for (const part of path) {
    const next = child(at, part);
    if (!next) break;
    at = next;
  }
  return spanOf(at, key);
}

/** Plain data; maps have no prototype, so that no key can reach one. */
export function toJson(tree: Tree): Json {
  const { value } = tree;
  if (Array.isArray(value)) return value.map(toJson);
  if (!(value instanceof Map)) return value;
  const object: { [key: string]: Json } = Object.create(null);
  for (const [key, entry] of value) object[key] = toJson(entry);
  return object;
}

/** Nodes and levels of a tree, shared parts counted as often as they are used. */
export function measure(tree: Tree): { nodes: number; depth: number } {
  const { value } = tree;
  if (!Array.isArray(value) && !(value instanceof Map)) return { nodes: 1, depth: 0 };
  let nodes = 1;
  let depth = 0;
  for (const part of value.values()) {
    const inner = measure(part);
    nodes += inner.nodes;
    depth = Math.max(depth, inner.depth);
  }
  return { nodes, depth: depth + 1 };
}
