import { suggest } from "../load/suggest.ts";
import type { Variables } from "../types.ts";
import {
  bindOf,
  ExprError,
  FUNCTION_SCOPE,
  macroOf,
  type Macro,
  type Node,
  textOf,
} from "./ast.ts";
import { findOverload, FUNCTIONS, runOverload, signatures } from "./functions.ts";
import { binary, checkedInt, ValueError } from "./operators.ts";
import { UnknownValue } from "./unknown.ts";
import { Dict, List, toCel, typeName, type Value } from "./values.ts";
import { Work } from "./work.ts";

/** A variable of a macro, innermost first. */
interface Scope {
  name: string;
  value: Value;
  outer: Scope | undefined;
}

/** Told what each node gave; used by `explain`. */
export interface Recorder {
  value(node: Node, value: Value): void;
  failed(node: Node, error: unknown): void;
  /** An element for which the condition of `all` or `exists` was false. */
  element(macro: Macro, index: number, element: Value): void;
}

/**
 * Evaluates cel-js's syntax tree. Its own evaluator is not used because it can't be bounded, refuses a ternary of text and
 * null or a list of mixed types, can't have `bytes` replaced, and needs every value converted beforehand.
 */
export class Interpreter {
  readonly #source: string;
  readonly #variables: Variables;
  readonly #work = new Work();
  #recorder: Recorder | undefined;

  constructor(source: string, variables: Variables, recorder?: Recorder) {
    this.#source = source;
    this.#variables = variables;
    this.#recorder = recorder;
  }

  /** @throws ExprError · UnknownValue · PgdbaError limit_exceeded */
  run(node: Node, scope?: Scope): Value {
    this.#work.charge(1);
    try {
      const value = this.#evaluate(node, scope);
      this.#recorder?.value(node, value);
      return value;
    } catch (error) {
      const placed = error instanceof ValueError ? this.#fault(node, error) : error;
      this.#recorder?.failed(node, placed);
      throw placed;
    }
  }

  #fault(node: Node, error: ValueError): ExprError {
    const text = textOf(this.#source, node);
    return new ExprError(node, `${error.message}, in ${short(text)}`, error.hint, error);
  }

  #evaluate(node: Node, scope: Scope | undefined): Value {
    switch (node.op) {
      case "value":
        return literal(node.args);
      case "id":
        return this.#variable(node, node.args, scope);
      case ".":
        return this.#member(node, this.run(node.args[0], scope), node.args[0], node.args[1]);
      case "[]":
        return this.#index(node, this.run(node.args[0], scope), this.run(node.args[1], scope));
      case "call":
        return this.#call(node, node.args[0], node.args[1], scope);
      case "rcall":
        return this.#method(node, scope);
      case "list":
        return List.of(node.args.map((item) => this.run(item, scope)));
      case "map":
        return this.#map(node.args, scope);
      case "?:":
        return this.run(node.args[this.#truth(node.args[0], scope) ? 1 : 2], scope);
      case "&&":
      case "||":
        return this.#logical(node.args, node.op === "||", scope);
      case "!_":
        return !this.#truth(node.args, scope);
      case "-_":
        return negate(this.run(node.args, scope));
      default:
        return binary(
          node.op,
          this.run(node.args[0], scope),
          this.run(node.args[1], scope),
          this.#work,
        );
    }
  }

  #variable(node: Node, name: string, scope: Scope | undefined): Value {
    for (let at = scope; at; at = at.outer) if (at.name === name) return at.value;
    const value = Object.hasOwn(this.#variables, name) ? this.#variables[name] : undefined;
    if (value !== undefined) return toCel(value);
    throw new ExprError(
      node,
      `there is no variable ${name}`,
      didYouMean(name, Object.keys(this.#variables)),
    );
  }

  #member(node: Node, owner: Value, ownerNode: Node, key: string): Value {
    const found = owner instanceof Dict ? owner.get(key) : undefined;
    if (found !== undefined) return found;
    const text = short(textOf(this.#source, ownerNode));
    const at = { start: node.op === "." ? node.pos : node.start, end: node.end };
    if (owner instanceof Dict) {
      throw new ExprError(at, `${text} has no key ${key}`, didYouMean(key, owner.keys()));
    }
    const hint =
      owner instanceof List
        ? `Index it, ${text}[0].${key}, or use ${text}.map(x, x.${key}).`
        : owner === null
          ? `Test it first: ${text} != null && ...`
          : "Only maps have keys.";
    throw new ExprError(at, `${text} is ${withArticle(owner)}, it has no key ${key}`, hint);
  }

  #index(node: Node & { op: "[]" }, owner: Value, index: Value): Value {
    const [ownerNode] = node.args;
    const text = short(textOf(this.#source, ownerNode));
    if (owner instanceof Dict && typeof index === "string")
      return this.#member(node, owner, ownerNode, index);
    if (!(owner instanceof List)) {
      if (!(owner instanceof Dict))
        throw new ValueError(
          `${text} is ${withArticle(owner)} and can't be indexed`,
          "Only lists and maps can.",
        );
      throw new ValueError(
        `${text} is a map, its keys are text, not ${typeName(index)}`,
        "Convert it: m[string(n)].",
      );
    }
    const position =
      typeof index === "bigint" || Number.isInteger(index) ? Number(index) : undefined;
    if (position === undefined)
      throw new ValueError(
        `a list is indexed with an int, not ${withArticle(index)}`,
        `Write ${text}[0].`,
      );
    if (position >= 0 && position < owner.size) return owner.at(position);
    throw new ValueError(
      `${text} has ${owner.size} items, there is no item ${position}`,
      `Test size(${text}) first; items count from 0.`,
    );
  }

  #truth(node: Node, scope: Scope | undefined, label?: string): boolean {
    const value = this.run(node, scope);
    if (typeof value === "boolean") return value;
    const text = short(textOf(this.#source, node));
    throw new ExprError(
      node,
      `${label ?? text} must be true or false, ${label ? text : "it"} is ${withArticle(value)}`,
      "Compare it: x != '' or x > 0.",
    );
  }

  /** `decisive` is the value that settles it: true for `||`. A fault or unknown on one side yields to it on the other. */
  #logical(sides: [Node, Node], decisive: boolean, scope: Scope | undefined): boolean {
    let fault: unknown;
    for (const side of sides) {
      try {
        if (this.#truth(side, scope) === decisive) return decisive;
      } catch (error) {
        fault = keepFault(fault, error);
      }
    }
    if (fault !== undefined) throw fault;
    return !decisive;
  }

  #map(entries: [Node, Node][], scope: Scope | undefined): Dict {
    const made = new Map<string, Value>();
    for (const [keyNode, valueNode] of entries) {
      const key = this.run(keyNode, scope);
      if (typeof key !== "string")
        throw new ExprError(
          keyNode,
          `the key of a map must be text, it is ${withArticle(key)}`,
          "Write it in quotes, or string(n).",
        );
      if (key === "__proto__")
        throw new ExprError(keyNode, "__proto__ can't be a key", "Choose another name.");
      made.set(key, this.run(valueNode, scope));
    }
    return Dict.of(made);
  }

  #call(node: Node, name: string, args: Node[], scope: Scope | undefined): Value {
    if (name === "has" && args.length === 1) return this.#has(args[0]!, scope);
    return this.#apply(node, name, args, false, scope);
  }

  #has(node: Node, scope: Scope | undefined): boolean {
    if (node.op !== ".")
      throw new ExprError(
        node,
        "has() takes a field: has(a.b)",
        "To ask for a key in a variable: key in a.",
      );
    const [ownerNode, key] = node.args;
    const owner = this.run(ownerNode, scope);
    return owner instanceof Dict && owner.has(key);
  }

  #apply(
    node: Node,
    name: string,
    argNodes: Node[],
    hasReceiver: boolean,
    scope: Scope | undefined,
  ): Value {
    if (!FUNCTIONS[name])
      throw new ExprError(
        node,
        `there is no function ${name}`,
        didYouMean(name, [...Object.keys(FUNCTIONS), ...FUNCTION_SCOPE]),
      );
    const args = argNodes.map((arg) => this.run(arg, scope));
    const overload = findOverload(name, args, hasReceiver);
    if (overload) return runOverload(overload, args, this.#work);
    const given = args.map(typeName);
    const call = hasReceiver
      ? `${given[0]}.${name}(${given.slice(1).join(", ")})`
      : `${name}(${given.join(", ")})`;
    throw new ValueError(`there is no ${call}`, `It is ${signatures(name)}.`);
  }

  #method(node: Node & { op: "rcall" }, scope: Scope | undefined): Value {
    const macro = macroOf(node);
    if (macro) return this.#comprehension(macro, scope);
    const bind = bindOf(node);
    if (bind) {
      const value = this.run(bind.value, scope);
      return this.run(bind.body, { name: bind.variable, value, outer: scope });
    }
    return this.#apply(node, node.args[0], [node.args[1], ...node.args[2]], true, scope);
  }

  #comprehension(macro: Macro, scope: Scope | undefined): Value {
    const over = this.run(macro.list, scope);
    if (!(over instanceof List || over instanceof Dict)) {
      const text = short(textOf(this.#source, macro.list));
      throw new ExprError(
        macro.list,
        `${macro.name}() goes over a list or a map, ${text} is ${withArticle(over)}`,
        "Give it a list.",
      );
    }
    const items = over instanceof List ? over : List.of(over.keys());
    const recorder = this.#recorder;
    this.#recorder = undefined; // the inner nodes have one value per element; `element` tells of those that matter
    try {
      if (macro.name === "all" || macro.name === "exists")
        return this.#quantifier(macro, items, scope, recorder);
      return this.#collect(macro, items, scope);
    } finally {
      this.#recorder = recorder;
    }
  }

  #quantifier(
    macro: Macro,
    items: List,
    outer: Scope | undefined,
    recorder: Recorder | undefined,
  ): boolean {
    const decisive = macro.name === "exists";
    let decided = false;
    let fault: unknown;
    for (let i = 0; i < items.size; i++) {
      const value = items.at(i);
      try {
        const holds = this.#truth(
          macro.body,
          { name: macro.variable, value, outer },
          `the condition of ${macro.name}()`,
        );
        if (!holds) recorder?.element(macro, i, value);
        decided ||= holds === decisive;
      } catch (error) {
        fault = keepFault(fault, error);
      }
      if (decided && (decisive || !recorder)) return decisive; // to explain `all`, more elements that fail are wanted
    }
    if (fault !== undefined && !decided) throw fault;
    return decided ? decisive : !decisive;
  }

  #collect(macro: Macro, items: List, outer: Scope | undefined): Value {
    const kept: Value[] = [];
    const test = macro.name === "map" ? macro.filter : macro.body;
    for (const value of items) {
      const scope: Scope = { name: macro.variable, value, outer };
      if (test && !this.#truth(test, scope, `the condition of ${macro.name}()`)) continue;
      kept.push(macro.name === "map" ? this.run(macro.body, scope) : value);
    }
    return macro.name === "exists_one" ? kept.length === 1 : List.of(kept);
  }
}

/** The fault to report of two: an unknown wins, for once known it may settle the matter. Limits are never put aside. */
function keepFault(first: unknown, next: unknown): unknown {
  if (!(next instanceof ExprError || next instanceof UnknownValue)) throw next;
  if (first === undefined) return next;
  return next instanceof UnknownValue && !(first instanceof UnknownValue) ? next : first;
}

function literal(value: unknown): Value {
  if (value instanceof Uint8Array || typeof value !== "object" || value === null)
    return value as Value;
  return checkedInt((value as { value: bigint }).value); // an unsigned literal, 5u
}

function negate(value: Value): Value {
  if (typeof value === "bigint") return checkedInt(-value);
  if (typeof value === "number") return -value;
  throw new ValueError(`'-' does not take ${withArticle(value)}`, "Only numbers can be negated.");
}

export function withArticle(value: Value): string {
  const name = typeName(value);
  return value === null ? name : `${name === "int" ? "an" : "a"} ${name}`;
}

/** "Did you mean x?", or the names there are. */
export function didYouMean(word: string, names: Iterable<string>): string {
  const all = [...names];
  const near = suggest(word, all);
  if (near !== undefined) return `Did you mean ${near}?`;
  if (all.length === 0) return "There are none here.";
  return `There are: ${all.slice(0, 12).join(", ")}${all.length > 12 ? ", ..." : ""}.`;
}

/** Source text on one line and not too long, for messages. */
export function short(text: string, length = 80): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}
