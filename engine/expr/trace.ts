import type { Json, Trace } from "../types.ts";
import { bindOf, children, type Macro, macroOf, type Node, textOf } from "./ast.ts";
import type { Recorder } from "./interpret.ts";
import { UnknownValue } from "./unknown.ts";
import { Dict, type Key, keyOf, List, scalarToJson, type Value } from "./values.ts";
import { short } from "./wording.ts";

const MAX_ELEMENTS = 3;
type Mask = (text: string) => string;
type Seen = { value: Json } | { error: string };

/** Keeps what each node gave, shortened at once so that a trace of large data stays small. */
export class TraceRecorder implements Recorder {
  readonly nodes = new Map<Node, Seen>();
  readonly elements = new Map<Node, { index: number; value: Json }[]>();
  readonly #mask: Mask;

  /** `mask` is given each text whole: what is left of a secret that was cut could not be told any more. */
  constructor(mask: Mask = (text) => text) {
    this.#mask = mask;
  }

  value(node: Node, value: Value): void {
    if (node.op !== "value") this.nodes.set(node, { value: shorten(value, this.#mask) });
  }

  failed(node: Node, error: unknown): void {
    this.nodes.set(node, {
      error: this.#mask(error instanceof Error ? error.message : String(error)),
    });
  }

  element(macro: Macro, index: number, value: Value): void {
    const kept = this.elements.get(macro.list) ?? [];
    if (kept.length < MAX_ELEMENTS)
      this.elements.set(macro.list, [...kept, { index, value: shorten(value, this.#mask) }]);
  }
}

interface Row {
  source: string;
  seen: Seen;
  depth: number;
}

/**
 * The trace of an evaluation, as power-assert shows it. Left out: literals, parts that were not reached, the prefixes of
 * a path that was read (`steps` of `steps.a.output`), and what stands inside a macro, for which the first elements that
 * did not satisfy it are shown.
 */
export function buildTrace(ast: Node, source: string, value: Json, recorder: TraceRecorder): Trace {
  const rows: Row[] = [];
  const known = new Set<string>();
  const add = (text: string, seen: Seen, depth: number): void => {
    if (known.has(text)) return;
    known.add(text);
    rows.push({ source: text, seen, depth });
  };
  const visit = (node: Node, depth: number): void => {
    const seen = recorder.nodes.get(node);
    if (!seen) return;
    const isConstant =
      (node.op === "list" || node.op === "map") &&
      children(node).every((item) => item.op === "value");
    if (!isConstant) add(textOf(source, node), seen, depth);
    for (const child of visibleChildren(node, "value" in seen)) visit(child, depth + 1);
    const macro = macroOf(node);
    if (!macro || ("value" in seen && seen.value === true)) return;
    for (const element of recorder.elements.get(macro.list) ?? []) {
      add(`${textOf(source, macro.list)}[${element.index}]`, { value: element.value }, depth + 1);
    }
  };
  visit(ast, 0);
  const parts = rows.map((row) => ({
    source: row.source,
    value: "error" in row.seen ? row.seen : row.seen.value,
  }));
  return { value, parts, text: layOut(rows) };
}

function visibleChildren(node: Node, succeeded: boolean): Node[] {
  const macro = macroOf(node);
  if (macro) return [macro.list];
  const bind = bindOf(node);
  if (bind) return [bind.value, bind.body];
  if (node.op === "call" && node.args[0] === "has") return [];
  if ((node.op === "." || node.op === "[]") && succeeded) {
    const index = node.op === "[]" ? [node.args[1]] : [];
    return [...pathRoot(node), ...index];
  }
  return children(node);
}

/** The start of a path when that is more than a variable: the call in `f(x).a.b`. */
function pathRoot(node: Node): Node[] {
  const owner = node.op === "." || node.op === "[]" ? node.args[0] : node;
  if (owner.op === "." || owner.op === "[]") return pathRoot(owner);
  return owner.op === "id" ? [] : [owner];
}

function layOut(rows: Row[]): string {
  const lines = rows.map(({ source, seen, depth }) => ({
    left: `${"  ".repeat(depth)}${short(source, 70)}`,
    right: "error" in seen ? `(${short(seen.error)})` : short(JSON.stringify(seen.value), 100),
  }));
  const width = Math.max(0, ...lines.map((line) => line.left.length));
  return lines.map((line) => `${line.left.padEnd(width)}  ${line.right}`).join("\n");
}

const MAX_TEXT = 200;
const MAX_ITEMS = 5;
const MAX_KEYS = 20;
const MAX_DEPTH = 3;

/** A copy cut to a readable size. Reads no more of a lazy value than it shows. */
function shorten(value: Value, mask: Mask, depth = 0): Json {
  if (typeof value === "string") {
    const text = mask(value);
    return text.length > MAX_TEXT
      ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)`
      : text;
  }
  if (value instanceof List) {
    if (depth >= MAX_DEPTH) return `[… ${value.size} items]`;
    const shown: Json[] = [];
    for (let i = 0; i < Math.min(value.size, MAX_ITEMS); i++)
      shown.push(known(() => shorten(value.at(i), mask, depth + 1)));
    return value.size > MAX_ITEMS ? [...shown, `… ${value.size - MAX_ITEMS} more`] : shown;
  }
  if (value instanceof Dict) {
    const keys = value.keys();
    if (depth >= MAX_DEPTH) return `{… ${keys.length} keys}`;
    const shown: { [key: string]: Json } = Object.create(null);
    for (const key of keys.slice(0, MAX_KEYS))
      shown[String(scalarToJson(key as Key))] = known(() =>
        shorten(value.get(keyOf(key)!)!, mask, depth + 1),
      );
    if (keys.length > MAX_KEYS) shown["…"] = `${keys.length - MAX_KEYS} more`;
    return shown;
  }
  return scalarToJson(value);
}

function known(read: () => Json): Json {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnknownValue) return "(unknown)";
    throw error;
  }
}
