import { amount } from "../shared/amount.ts";
import type { Json, Trace } from "../types.ts";
import { bindOf, children, type Macro, macroOf, type Node, textOf } from "./ast.ts";
import type { Element, Recorder } from "./interpret.ts";
import { UnknownValue } from "./unknown.ts";
import { Dict, type Key, keyOf, List, scalarToJson, type Value } from "./values.ts";
import { short } from "./wording.ts";

/** Elements of a list that are shown, of those that decided. */
const MAX_ELEMENTS = 3;
/** The number of elements, of all lists together, whose parts of the condition are shown. */
const MAX_INSIDE = 12;
type Mask = (text: string) => string;
type Seen = { value: Json } | { error: string };

interface SeenElement {
  index: number;
  value: Json;
  isKey: boolean;
  /** The parts of the condition for it. */
  inside: TraceRecorder | undefined;
}

/** Keeps what each node gave, shortened at once so that a trace of large data stays small. */
export class TraceRecorder implements Recorder {
  readonly nodes = new Map<Node, Seen>();
  /** By the list, and by whether the condition held. */
  readonly elements = new Map<Node, { true: SeenElement[]; false: SeenElement[] }>();
  readonly #mask: Mask;
  readonly #isInside: boolean;
  #left = MAX_INSIDE;

  /** `mask` gets each text whole: a piece of a secret that was cut could not be recognised any more. */
  constructor(mask: Mask = (text) => text, isInside = false) {
    this.#mask = mask;
    this.#isInside = isInside;
  }

  value(node: Node, value: Value): void {
    if (node.op !== "value") this.nodes.set(node, { value: shorten(value, this.#mask) });
  }

  failed(node: Node, error: unknown): void {
    this.nodes.set(node, {
      error: this.#mask(error instanceof Error ? error.message : String(error)),
    });
  }

  element(macro: Macro, { index, value, isKey, holds }: Element): TraceRecorder | undefined {
    const kept = this.elements.get(macro.list) ?? { true: [], false: [] };
    this.elements.set(macro.list, kept);
    const alike = kept[holds ? "true" : "false"];
    if (alike.length >= MAX_ELEMENTS) return undefined;
    const isShown = !this.#isInside && this.#left > 0;
    const inside = isShown ? new TraceRecorder(this.#mask, true) : undefined;
    if (isShown) this.#left -= 1;
    alike.push({ index, value: shorten(value, this.#mask), isKey, inside });
    return inside;
  }
}

/** The place of a node in a trace: by itself, or within a macro for one element. */
interface Place {
  recorder: TraceRecorder;
  /** The variable of the macro, and how its element is written. */
  variable: string | undefined;
  label: string;
  /** The truth that needs no explanation. */
  wanted: boolean;
}

interface Row {
  source: string;
  seen: Seen;
  depth: number;
}

/**
 * The trace of an evaluation, as power-assert shows it. Left out: literals, parts that were not reached, and the prefixes of a path
 * that was read (`steps` of `steps.a.output`). Of a macro the first elements that decided are shown, each with the parts of the
 * condition.
 */
export function buildTrace(ast: Node, source: string, value: Json, recorder: TraceRecorder): Trace {
  const rows: Row[] = [];
  const known = new Set<string>();
  const add = (text: string, seen: Seen, depth: number): void => {
    if (known.has(text)) return;
    known.add(text);
    rows.push({ source: text, seen, depth });
  };
  const visit = (node: Node, depth: number, at: Place): void => {
    const seen = at.recorder.nodes.get(node);
    if (!seen) return;
    const isConstant =
      (node.op === "list" || node.op === "map") &&
      children(node).every((item) => item.op === "value");
    const isElement = node.op === "id" && node.args === at.variable;
    if (!isConstant && !isElement) add(labelled(source, node, at), seen, depth);
    const wanted = node.op === "!_" ? !at.wanted : at.wanted;
    for (const child of visibleChildren(node, "value" in seen))
      visit(child, depth + 1, { ...at, wanted });
    const macro = macroOf(node);
    if (!macro || ("value" in seen && seen.value === at.wanted)) return;
    const { holds, elements } = deciding(macro, at.recorder, seen);
    for (const { index, value: element, isKey, inside } of elements) {
      const label = isKey
        ? JSON.stringify(element)
        : `${asOwner(macro.list, labelled(source, macro.list, at))}[${index}]`;
      if (!isKey) add(label, { value: element }, depth + 1);
      const place = { variable: macro.variable, label, wanted: !holds };
      if (inside) visit(macro.body, depth + (isKey ? 1 : 2), { recorder: inside, ...place });
    }
  };
  visit(ast, 0, { recorder, variable: undefined, label: "", wanted: true });
  const parts = rows.map((row) => ({
    source: row.source,
    value: "error" in row.seen ? row.seen : row.seen.value,
  }));
  return { value, parts, text: layOut(rows) };
}

/** The elements that decided the result of a macro, and whether its condition held for them. */
function deciding(
  { name, list }: Macro,
  { elements }: TraceRecorder,
  seen: Seen,
): { holds: boolean; elements: SeenElement[] } {
  const kept = elements.get(list) ?? { true: [], false: [] };
  const isTrue = "value" in seen && seen.value === true;
  const several = name === "exists_one" && kept.true.length > 1;
  const holds = name !== "all" && (isTrue || several);
  return { holds, elements: holds ? kept.true : kept.false };
}

/** The text of a node, with the element itself in the place of the macro's variable. */
function labelled(source: string, node: Node, { variable, label }: Place): string {
  if (variable === undefined) return textOf(source, node);
  let out = "";
  let from = node.start;
  for (const { start, end } of named(node, variable)) {
    out += source.slice(from, start) + label;
    from = end;
  }
  return out + source.slice(from, node.end);
}

/** The places of a variable below a node, in source order; those where another of the same name hides it are left out. */
function named(node: Node, variable: string): Node[] {
  if (node.op === "id") return node.args === variable && node.fromRoot !== true ? [node] : [];
  const macro = macroOf(node);
  if (macro?.variable === variable) return named(macro.list, variable);
  const bind = bindOf(node);
  if (bind?.variable === variable) return named(bind.value, variable);
  return children(node).flatMap((child) => named(child, variable));
}

/** The text of a node as it is written before a `[`. */
function asOwner(node: Node, text: string): string {
  const isOne = ["value", "id", ".", "[]", "call", "rcall", "list", "map"].includes(node.op);
  return isOne ? text : `(${text})`;
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
    if (depth >= MAX_DEPTH) return `[… ${amount(value.size, "item")}]`;
    const shown: Json[] = [];
    for (let i = 0; i < Math.min(value.size, MAX_ITEMS); i++)
      shown.push(known(() => shorten(value.at(i), mask, depth + 1)));
    return value.size > MAX_ITEMS ? [...shown, `… ${value.size - MAX_ITEMS} more`] : shown;
  }
  if (value instanceof Dict) {
    const keys = value.keys();
    if (depth >= MAX_DEPTH) return `{… ${amount(keys.length, "key")}}`;
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
