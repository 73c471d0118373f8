import type { JsonSchema } from "../types.ts";
import { bindOf, macroOf, type Macro, type Node } from "./ast.ts";
import { checkCall } from "./infer/calls.ts";
import { checkBinary } from "./infer/operators.ts";
import { checkIndex, checkMember } from "./infer/paths.ts";
import { type ExprProblem, Problems } from "./infer/problems.ts";
import { parse } from "./parse.ts";
import {
  BOOL,
  BYTES,
  describe,
  DYNAMIC,
  elementOf,
  INT,
  mapOf,
  mayBe,
  NUMBER,
  overlap,
  publish,
  type Scope,
  STRING,
  TYPE,
  UINT,
  union,
} from "./schema-types.ts";
import { TYPES } from "./types-as-values.ts";
import { type Key, keyOf, TypeValue, Uint } from "./values.ts";
import { didYouMean } from "./wording.ts";

export type { ExprProblem } from "./infer/problems.ts";
export { checkText } from "./infer/text.ts";
export type { Scope } from "./schema-types.ts";

/**
 * Checks an expression against the schemas of its variables, and gives the schema of its value. Lenient where schemas are
 * open: a complaint means that the expression can't be right.
 */
export function checkCel(
  source: string,
  scope: Scope,
  expected?: JsonSchema,
): { schema: JsonSchema; problems: ExprProblem[] } {
  const problems = new Problems(source);
  let ast: Node;
  try {
    ast = parse(source);
  } catch (error) {
    problems.syntax(error);
    return { schema: DYNAMIC, problems: problems.list };
  }
  const schema = publish(new Checker(problems, scope).infer(ast, scope));
  if (expected && !overlap(schema, expected)) {
    problems.report(
      ast,
      "type-mismatch",
      `this gives ${describe(schema)}, but ${describe(expected)} is needed here`,
      mayBe(expected, "boolean")
        ? "Compare it with something: x == 'value' or x > 0."
        : `Write an expression that gives ${describe(expected)}.`,
    );
  }
  return { schema, problems: problems.list };
}

/** Walks the tree; the folder `infer` holds the rule for each kind of node that has one worth its own name. */
class Checker {
  readonly #problems: Problems;
  readonly #root: Scope;

  constructor(problems: Problems, root: Scope) {
    this.#problems = problems;
    this.#root = root;
  }

  infer(node: Node, scope: Scope): JsonSchema {
    switch (node.op) {
      case "value":
        return literalSchema(node.args);
      case "id":
        return this.#variable(node, node.args, node.fromRoot === true ? this.#root : scope);
      case ".": {
        const [owner, key] = node.args;
        const at = { start: node.pos, end: node.end };
        return checkMember(this.#problems, owner, this.infer(owner, scope), key, at);
      }
      case "[]": {
        const [owner, index] = node.args.map((part) => this.infer(part, scope));
        return checkIndex(this.#problems, node, owner!, index!);
      }
      case "call": {
        const [name, args] = node.args;
        if (name === "has" && args.length === 1) return (this.infer(args[0]!, scope), BOOL);
        return this.#call(node, name, args, false, scope);
      }
      case "rcall":
        return this.#method(node, scope);
      case "list": {
        const items = node.args.map((item) => this.infer(item, scope));
        return items.length > 0 ? { type: "array", items: union(items) } : { type: "array" };
      }
      case "map":
        return this.#map(node.args, scope);
      case "?:":
        this.#boolean(node.args[0], scope);
        return union([this.infer(node.args[1], scope), this.infer(node.args[2], scope)]);
      case "&&":
      case "||":
        for (const side of node.args) this.#boolean(side, scope);
        return BOOL;
      case "!_":
        this.#boolean(node.args, scope);
        return BOOL;
      case "-_":
        return this.#negation(node, scope);
      default: {
        const [left, right] = node.args.map((side) => this.infer(side, scope));
        return checkBinary(this.#problems, node, left!, right!);
      }
    }
  }

  #variable(node: Node, name: string, scope: Scope): JsonSchema {
    if (Object.hasOwn(scope, name)) return scope[name]!;
    if (TYPES[name] instanceof TypeValue) return TYPE;
    if (TYPES[name] !== undefined) return DYNAMIC;
    return this.#problems.report(
      node,
      "unknown-variable",
      `there is no variable ${name}`,
      didYouMean(name, Object.keys(scope)),
    );
  }

  #negation(node: Node & { op: "-_" }, scope: Scope): JsonSchema {
    const of = this.infer(node.args, scope);
    if (!mayBe(of, "number"))
      this.#problems.report(
        node,
        "type-mismatch",
        `'-' does not take ${describe(of)}`,
        "Only numbers can be negated.",
      );
    return of;
  }

  #boolean(node: Node, scope: Scope): void {
    const schema = this.infer(node, scope);
    if (mayBe(schema, "boolean")) return;
    this.#problems.report(
      node,
      "type-mismatch",
      `${this.#problems.text(node)} must be true or false, it is ${describe(schema)}`,
      "Compare it: x != '' or x > 0.",
    );
  }

  #map(entries: [Node, Node][], scope: Scope): JsonSchema {
    const properties: Record<string, JsonSchema> = {};
    const keys = entries.map(([key]) => this.#key(key, scope));
    const values = entries.map(([, value]) => this.infer(value, scope));
    const written = new Set<Key>();
    for (const [i, [node]] of entries.entries()) {
      if (node.op !== "value") continue;
      const key = keyOf(node.args);
      if (key === undefined) continue;
      if (typeof key === "string") properties[key] = values[i]!;
      if (written.has(key))
        this.#problems.report(
          node,
          "invalid-value",
          `the key ${this.#problems.text(node)} is in the map already`,
          "Remove one of the two.",
        );
      written.add(key);
    }
    if (keys.some((key) => key.type !== "string"))
      return mapOf(union(keys), values.length > 0 ? union(values) : DYNAMIC);
    const isClosed = entries.every(([node]) => node.op === "value");
    return {
      type: "object",
      properties,
      required: Object.keys(properties),
      ...(isClosed ? { additionalProperties: false } : {}),
    };
  }

  #key(node: Node, scope: Scope): JsonSchema {
    const key = this.infer(node, scope);
    const isFraction = node.op === "value" && typeof node.args === "number";
    if (mayBe(key, "string", "integer", "uint", "boolean") && !isFraction) return key;
    return this.#problems.report(
      node,
      "type-mismatch",
      `the key of a map is text, an int, a uint or a bool, it is ${describe(key)}`,
      "Write it in quotes.",
    );
  }

  #call(node: Node, name: string, args: Node[], hasReceiver: boolean, scope: Scope): JsonSchema {
    const given = args.map((arg) => this.infer(arg, scope));
    return checkCall(this.#problems, { node, name, args, hasReceiver }, given);
  }

  #method(node: Node & { op: "rcall" }, scope: Scope): JsonSchema {
    const macro = macroOf(node);
    if (macro) return this.#comprehension(macro, scope);
    const bind = bindOf(node);
    if (bind)
      return this.infer(bind.body, { ...scope, [bind.variable]: this.infer(bind.value, scope) });
    return this.#call(node, node.args[0], [node.args[1], ...node.args[2]], true, scope);
  }

  #comprehension(macro: Macro, outer: Scope): JsonSchema {
    const list = this.infer(macro.list, outer);
    if (!mayBe(list, "array", "object")) {
      this.#problems.report(
        macro.list,
        "type-mismatch",
        `${macro.name}() goes over a list or a map, ${this.#problems.text(macro.list)} is ${describe(list)}`,
        "Give it a list.",
      );
    }
    const element = mayBe(list, "array", "object") ? elementOf(list) : DYNAMIC;
    const scope = { ...outer, [macro.variable]: element };
    if (macro.filter) this.#boolean(macro.filter, scope);
    if (macro.name === "map") return { type: "array", items: this.infer(macro.body, scope) };
    this.#boolean(macro.body, scope);
    return macro.name === "filter" ? { type: "array", items: element } : BOOL;
  }
}

function literalSchema(value: unknown): JsonSchema {
  if (value === null) return { type: "null" };
  if (typeof value === "string") return STRING;
  if (typeof value === "boolean") return BOOL;
  if (typeof value === "number") return NUMBER;
  if (value instanceof Uint) return UINT;
  return value instanceof Uint8Array ? BYTES : INT;
}
