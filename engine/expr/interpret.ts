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
import { findOverload, FUNCTIONS, signatures } from "./functions.ts";
import { runOverload } from "./functions/overload.ts";
import { element, member } from "./interpret/paths.ts";
import { settle } from "./interpret/settle.ts";
import { binary, checkedInt, ValueError } from "./operators.ts";
import { TYPES } from "./types-as-values.ts";
import { Dict, type Key, keyOf, List, toCel, typeName, type Value } from "./values.ts";
import { didYouMean, short, withArticle } from "./wording.ts";
import { Work } from "./work.ts";

/** The cost of passing on a fault, which `||` or `exists` may put aside in every turn. */
const UNITS_OF_A_FAULT = 10;

/** A variable of a macro, innermost first. */
interface Scope {
  name: string;
  value: Value;
  outer: Scope | undefined;
}

/** An element of a list, or a key of a map, and whether the condition held for it. */
export interface Element {
  index: number;
  value: Value;
  isKey: boolean;
  holds: boolean;
}

/** Is called with the value of each node; used by `explain`. */
export interface Recorder {
  value(node: Node, value: Value): void;
  failed(node: Node, error: unknown): void;
  /**
   * Is called for an element with the result of the condition of `all`, `exists` or `exists_one`.
   * @returns the recorder of the parts of the condition for this element, if they are to be recorded
   */
  element(macro: Macro, element: Element): Recorder | undefined;
}

/**
 * Evaluates a syntax tree as CEL's specification has it, within bounds; data is converted as it is read. Where it differs
 * stands in differences.ts.
 */
export class Interpreter {
  readonly #source: string;
  readonly #variables: Variables;
  #work = new Work();
  /** For all that is done once more to tell of it: it takes nothing from the evaluation itself. */
  readonly #extraWork = new Work();
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
      this.#work.charge(UNITS_OF_A_FAULT);
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
        return node.args;
      case "id":
        return this.#variable(node, node.args, node.fromRoot === true ? undefined : scope);
      case ".":
        return member(this.#source, node, this.run(node.args[0], scope), node.args[1]);
      case "[]":
        return element(
          this.#source,
          node,
          this.run(node.args[0], scope),
          this.run(node.args[1], scope),
        );
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
        return settle(
          node.op === "||",
          node.args.map((side) => () => this.#truth(side, scope)),
        );
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
    const type = TYPES[name];
    if (type !== undefined) return toCel(type);
    throw new ExprError(node, `there is no variable ${name}`, () =>
      didYouMean(name, Object.keys(this.#variables)),
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

  #map(entries: [Node, Node][], scope: Scope | undefined): Dict {
    const made = new Map<Key, { key: Value; value: Value }>();
    for (const [keyNode, valueNode] of entries) {
      const key = this.run(keyNode, scope);
      const found = typeof key === "number" ? undefined : keyOf(key);
      if (found === undefined)
        throw new ExprError(
          keyNode,
          `the key of a map is text, an int, a uint or a bool, it is ${withArticle(key)}`,
          "Write it in quotes, or string(n).",
        );
      if (found === "__proto__")
        throw new ExprError(keyNode, "__proto__ can't be a key", "Choose another name.");
      if (made.has(found))
        throw new ExprError(
          keyNode,
          `the key ${short(textOf(this.#source, keyNode))} is in the map already`,
          "Remove one of the two.",
        );
      made.set(found, { key, value: this.run(valueNode, scope) });
    }
    return Dict.of(
      made,
      entries.some(([key]) => key.op !== "value"),
    );
  }

  #call(node: Node, name: string, args: Node[], scope: Scope | undefined): Value {
    const [field] = args;
    if (name === "has" && args.length === 1 && field?.op === ".") return this.#has(field, scope);
    return this.#apply(node, name, args, false, scope);
  }

  #has(node: Node & { op: "." }, scope: Scope | undefined): boolean {
    const [ownerNode, key] = node.args;
    const owner = this.run(ownerNode, scope);
    if (owner instanceof Dict) return owner.has(key);
    const text = short(textOf(this.#source, ownerNode));
    throw new ExprError(
      ownerNode,
      `${text} is ${withArticle(owner)}, it has no keys`,
      `Test it first: ${text} != null && has(${text}.${key})`,
    );
  }

  #apply(
    node: Node,
    name: string,
    argNodes: Node[],
    hasReceiver: boolean,
    scope: Scope | undefined,
  ): Value {
    if (!FUNCTIONS[name])
      throw new ExprError(node, `there is no function ${name}`, () =>
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
      const isKey = over instanceof Dict;
      const told: Told = (index, value, holds) => {
        const inside = recorder?.element(macro, { index, value, isKey, holds });
        if (inside) this.#replay(macro, value, scope, inside);
        return holds;
      };
      const conditions = this.#conditions(macro, items, scope, told);
      if (macro.name === "exists") return settle(true, conditions);
      // To explain `all`, more elements that fail are wanted than the one that settles it.
      if (macro.name === "all") return settle(false, conditions, recorder !== undefined);
      return this.#collect(macro, items, scope, told);
    } finally {
      this.#recorder = recorder;
    }
  }

  /** For each element, whether the condition holds. */
  *#conditions(
    macro: Macro,
    items: List,
    outer: Scope | undefined,
    told: Told,
  ): Generator<() => boolean> {
    for (let i = 0; i < items.size; i++) {
      const value = items.at(i);
      yield () => told(i, value, this.#condition(macro, macro.body, value, outer));
    }
  }

  /** The condition for one element once more, its parts told to `recorder`. */
  #replay(macro: Macro, value: Value, outer: Scope | undefined, recorder: Recorder): void {
    const [work, before] = [this.#work, this.#recorder];
    [this.#work, this.#recorder] = [this.#extraWork, recorder];
    try {
      this.run(macro.body, { name: macro.variable, value, outer });
    } catch {
      // It was evaluated before, and the work for its evaluation is used up.
    } finally {
      [this.#work, this.#recorder] = [work, before];
    }
  }

  #condition(macro: Macro, test: Node, value: Value, outer: Scope | undefined): boolean {
    const scope = { name: macro.variable, value, outer };
    return this.#truth(test, scope, `the condition of ${macro.name}()`);
  }

  #collect(macro: Macro, items: List, outer: Scope | undefined, told: Told): Value {
    const kept: Value[] = [];
    const test = macro.name === "map" ? macro.filter : macro.body;
    for (let i = 0; i < items.size; i++) {
      const value = items.at(i);
      const holds = test === undefined || this.#condition(macro, test, value, outer);
      if (macro.name === "exists_one") told(i, value, holds);
      if (!holds) continue;
      const scope = { name: macro.variable, value, outer };
      kept.push(macro.name === "map" ? this.run(macro.body, scope) : value);
    }
    return macro.name === "exists_one" ? kept.length === 1 : List.of(kept);
  }
}

/** Passes on whether the condition held for an element, and gives it back. */
type Told = (index: number, value: Value, holds: boolean) => boolean;

function negate(value: Value): Value {
  if (typeof value === "bigint") return checkedInt(-value);
  if (typeof value === "number") return -value;
  throw new ValueError(`'-' does not take ${withArticle(value)}`, "Only numbers can be negated.");
}
