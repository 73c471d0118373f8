import type { JsonSchema } from "../types.ts";
import {
  type Binary,
  bindOf,
  ExprError,
  FUNCTION_SCOPE,
  macroOf,
  type Macro,
  type Node,
  parse,
  textOf,
} from "./ast.ts";
import {
  DURATION,
  FUNCTIONS,
  type Kind,
  kindsOf,
  type Overload,
  regex,
  runOverload,
  signatures,
  TIMESTAMP,
} from "./functions.ts";
import { didYouMean, short } from "./interpret.ts";
import { conversionHint, ValueError } from "./operators.ts";
import {
  describe,
  DYNAMIC,
  elementOf,
  mayBe,
  memberOf,
  overlap,
  solidTypes,
  union,
} from "./schema-types.ts";
import type { Value } from "./values.ts";
import { Work } from "./work.ts";

export { checkText } from "./infer-text.ts";

/** The root variables of an expression. A schema with `additionalProperties: false` is closed; any other is open. */
export type Scope = Record<string, JsonSchema>;

/** `start` and `end` are offsets into the source. */
export interface ExprProblem {
  start: number;
  end: number;
  /** syntax · unknown-variable · unknown-key · unknown-function · wrong-arguments · type-mismatch · invalid-value */
  rule: string;
  message: string;
  hint?: string;
}

/**
 * Checks an expression against the schemas of its variables, and gives the schema of its value. Lenient where schemas are
 * open: a complaint means that the expression can't be right.
 */
export function checkCel(
  source: string,
  scope: Scope,
  expected?: JsonSchema,
): { schema: JsonSchema; problems: ExprProblem[] } {
  let ast: Node;
  try {
    ast = parse(source);
  } catch (error) {
    return { schema: DYNAMIC, problems: [toProblem(error, "syntax")] };
  }
  const checker = new Checker(source);
  const schema = publish(checker.infer(ast, scope));
  if (expected && !overlap(schema, expected)) {
    checker.report(
      ast,
      "type-mismatch",
      `this gives ${describe(schema)}, but ${describe(expected)} is needed here`,
      expectedHint(expected),
    );
  }
  return { schema, problems: checker.problems };
}

export function toProblem(error: unknown, rule: string): ExprProblem {
  if (!(error instanceof ExprError)) throw error;
  const { start, end, message, hint } = error;
  return { start, end, rule, message, ...(hint === undefined ? {} : { hint }) };
}

const expectedHint = (expected: JsonSchema): string =>
  mayBe(expected, "boolean")
    ? "Compare it with something: x == 'value' or x > 0."
    : `Write an expression that gives ${describe(expected)}.`;

const BOOL: JsonSchema = { type: "boolean" };
const INT: JsonSchema = { type: "integer" };
const NUMBER: JsonSchema = { type: "number" };
const STRING: JsonSchema = { type: "string" };

const KIND_TYPES: Record<Kind, string[]> = {
  any: [],
  string: ["string"],
  bool: ["boolean"],
  int: ["integer", "number"],
  double: ["number"],
  number: ["number"],
  list: ["array"],
  map: ["object"],
  timestamp: ["timestamp"],
  duration: ["duration"],
  bytes: ["bytes"],
};

class Checker {
  readonly problems: ExprProblem[] = [];
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  report(
    at: { start: number; end: number },
    rule: string,
    message: string,
    hint?: string,
  ): JsonSchema {
    this.problems.push({
      start: at.start,
      end: at.end,
      rule,
      message,
      ...(hint === undefined ? {} : { hint }),
    });
    return DYNAMIC;
  }

  #text(node: Node): string {
    return short(textOf(this.#source, node));
  }

  infer(node: Node, scope: Scope): JsonSchema {
    switch (node.op) {
      case "value":
        return literalSchema(node.args);
      case "id":
        if (Object.hasOwn(scope, node.args)) return scope[node.args]!;
        return this.report(
          node,
          "unknown-variable",
          `there is no variable ${node.args}`,
          didYouMean(node.args, Object.keys(scope)),
        );
      case ".":
        return this.#member(node.args[0], this.infer(node.args[0], scope), node.args[1], {
          start: node.pos,
          end: node.end,
        });
      case "[]":
        return this.#index(node, scope);
      case "call":
        if (node.args[0] === "has" && node.args[1].length === 1)
          return this.#has(node.args[1][0]!, scope);
        return this.#call(node, node.args[0], node.args[1], false, scope);
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
      case "-_": {
        const of = this.infer(node.args, scope);
        if (!mayBe(of, "number"))
          this.report(
            node,
            "type-mismatch",
            `'-' does not take ${describe(of)}`,
            "Only numbers can be negated.",
          );
        return of;
      }
      default:
        return this.#binary(node.op, node, scope);
    }
  }

  #boolean(node: Node, scope: Scope): void {
    const schema = this.infer(node, scope);
    if (mayBe(schema, "boolean")) return;
    this.report(
      node,
      "type-mismatch",
      `${this.#text(node)} must be true or false, it is ${describe(schema)}`,
      "Compare it: x != '' or x > 0.",
    );
  }

  #member(
    ownerNode: Node,
    owner: JsonSchema,
    key: string,
    at: { start: number; end: number },
  ): JsonSchema {
    const member = memberOf(owner, key);
    if ("schema" in member) return member.schema;
    const text = this.#text(ownerNode);
    if (member.missing === "unknown") {
      return this.report(
        at,
        "unknown-key",
        `${text} has no key ${key}`,
        didYouMean(key, member.keys),
      );
    }
    const hint = mayBe(owner, "array")
      ? `Index it, ${text}[0].${key}, or use ${text}.map(x, x.${key}).`
      : "Only maps have keys.";
    return this.report(
      at,
      "type-mismatch",
      `${text} is ${describe(owner)}, it has no key ${key}`,
      hint,
    );
  }

  #index(node: Node & { op: "[]" }, scope: Scope): JsonSchema {
    const [ownerNode, indexNode] = node.args;
    const owner = this.infer(ownerNode, scope);
    if (indexNode.op === "value" && typeof indexNode.args === "string" && mayBe(owner, "object")) {
      return this.#member(ownerNode, owner, indexNode.args, indexNode);
    }
    const index = this.infer(indexNode, scope);
    const text = this.#text(ownerNode);
    if (!mayBe(owner, "array", "object")) {
      return this.report(
        node,
        "type-mismatch",
        `${text} is ${describe(owner)} and can't be indexed`,
        "Only lists and maps can.",
      );
    }
    const fits =
      (mayBe(owner, "array") && mayBe(index, "integer")) ||
      (mayBe(owner, "object") && mayBe(index, "string"));
    if (!fits) {
      return this.report(
        indexNode,
        "type-mismatch",
        `${text} is ${describe(owner)} and can't be indexed with ${describe(index)}`,
        `Write ${text}[0] for a list, m['key'] for a map.`,
      );
    }
    const types = solidTypes(owner);
    if (types?.size === 1 && types.has("array")) return elementOf(owner);
    return typeof owner.additionalProperties === "object" && !owner.properties
      ? owner.additionalProperties
      : DYNAMIC;
  }

  #has(node: Node, scope: Scope): JsonSchema {
    if (node.op !== ".")
      this.report(
        node,
        "wrong-arguments",
        "has() takes a field: has(a.b)",
        "To ask for a key in a variable: key in a.",
      );
    this.infer(node, scope);
    return BOOL;
  }

  #map(entries: [Node, Node][], scope: Scope): JsonSchema {
    const properties: Record<string, JsonSchema> = {};
    let isClosed = true;
    for (const [keyNode, valueNode] of entries) {
      const key = this.infer(keyNode, scope);
      if (!mayBe(key, "string"))
        this.report(
          keyNode,
          "type-mismatch",
          `the key of a map must be text, it is ${describe(key)}`,
          "Write it in quotes.",
        );
      const value = this.infer(valueNode, scope);
      if (keyNode.op === "value" && typeof keyNode.args === "string")
        properties[keyNode.args] = value;
      else isClosed = false;
    }
    const required = Object.keys(properties);
    return {
      type: "object",
      properties,
      required,
      ...(isClosed ? { additionalProperties: false } : {}),
    };
  }

  #binary(op: Binary, node: Node & { args: [Node, Node] }, scope: Scope): JsonSchema {
    const left = this.infer(node.args[0], scope);
    const right = this.infer(node.args[1], scope);
    const unfit = (): JsonSchema =>
      this.report(
        node,
        "type-mismatch",
        `${this.#text(node)} ${op in COMPARISON ? "compares" : "combines"} ${describe(left)} with ${describe(right)}`,
        conversionHint(describe(left), describe(right)),
      );
    if (op === "in") {
      if (!mayBe(right, "array", "object"))
        this.report(
          node.args[1],
          "type-mismatch",
          `'in' can't look into ${describe(right)}`,
          mayBe(right, "string")
            ? "Ask text.contains(part)."
            : "The right side of 'in' is a list or a map.",
        );
      else if (
        !mayBe(left, "null") &&
        !overlap(left, elementOf(right)) &&
        !overlap(elementOf(right), left)
      )
        unfit();
      return BOOL;
    }
    if (op === "==" || op === "!=") {
      if (!mayBe(left, "null") && !mayBe(right, "null") && !overlap(left, right)) unfit();
      return BOOL;
    }
    const result = combine(op, left, right);
    if (result) return result;
    unfit();
    return op in COMPARISON ? BOOL : DYNAMIC;
  }

  #call(
    node: Node,
    name: string,
    argNodes: Node[],
    hasReceiver: boolean,
    scope: Scope,
  ): JsonSchema {
    const args = argNodes.map((arg) => this.infer(arg, scope));
    const all = FUNCTIONS[name];
    if (!all) {
      return this.report(
        node,
        "unknown-function",
        `there is no function ${name}`,
        didYouMean(name, [...Object.keys(FUNCTIONS), ...FUNCTION_SCOPE]),
      );
    }
    const sameShape = all.filter(
      (overload) =>
        (overload.receiver !== undefined) === hasReceiver &&
        kindsOf(overload).length === args.length,
    );
    if (sameShape.length === 0)
      return this.report(
        node,
        "wrong-arguments",
        `${this.#text(node)} is not how ${name} is called`,
        `It is ${signatures(name)}.`,
      );
    const fitting = sameShape.filter((overload) =>
      kindsOf(overload).every((kind, i) => kind === "any" || mayBe(args[i]!, ...KIND_TYPES[kind])),
    );
    if (fitting.length === 0) {
      return this.report(
        node,
        "type-mismatch",
        `${name} does not take ${args.map(describe).join(", ")}`,
        `It is ${signatures(name)}.`,
      );
    }
    this.#tryOut(node, name, fitting[0]!, argNodes);
    return union(
      fitting.map(({ returns }) => (typeof returns === "function" ? returns(args) : returns)),
    );
  }

  /** A call whose arguments are all written out is made, so that `bytes('1XB')` is found before anything runs. */
  #tryOut(node: Node, name: string, overload: Overload, argNodes: Node[]): void {
    try {
      const pattern = argNodes.at(-1);
      if (name === "matches" && pattern?.op === "value") regex(pattern.args as string);
      if (
        argNodes.length > 0 &&
        argNodes.every((arg) => arg.op === "value" && typeof arg.args === "string")
      ) {
        runOverload(
          overload,
          argNodes.map((arg) => arg.args as Value),
          new Work(),
        );
      }
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      this.report(node, "invalid-value", error.message, error.hint);
    }
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
      this.report(
        macro.list,
        "type-mismatch",
        `${macro.name}() goes over a list or a map, ${this.#text(macro.list)} is ${describe(list)}`,
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

const COMPARISON: Record<string, true> = {
  __proto__: null as never,
  "==": true,
  "!=": true,
  "<": true,
  "<=": true,
  ">": true,
  ">=": true,
  in: true,
};

/** Operand types and what they give. `number` with `integer` is one type to compare, and gives a number. */
function combine(op: Binary, left: JsonSchema, right: JsonSchema): JsonSchema | undefined {
  const types = (schema: JsonSchema): string[] => [...(solidTypes(schema) ?? ALL)];
  const results = types(left).flatMap((a) => types(right).flatMap((b) => resultOf(op, a, b)));
  const known = [...new Set(results)];
  if (known.length === 0) return undefined;
  if (known.length === 1)
    return op === "+" && known[0] === "array"
      ? { type: "array", items: union([elementOf(left), elementOf(right)]) }
      : { type: known[0]! };
  return known.every((type) => type === "integer" || type === "number")
    ? NUMBER
    : known.length >= 4
      ? DYNAMIC
      : { type: known };
}

const ALL = [
  "string",
  "boolean",
  "integer",
  "number",
  "array",
  TIMESTAMP.type as string,
  DURATION.type as string,
];

function resultOf(op: Binary, a: string, b: string): string[] {
  const isNumeric = (type: string): boolean => type === "integer" || type === "number";
  if (op in COMPARISON) {
    const isOrdered = a === b && a !== "array" && a !== "object";
    return isOrdered || (isNumeric(a) && isNumeric(b)) ? ["boolean"] : [];
  }
  if (a === "integer" && b === "integer") return ["integer"];
  // A JSON number that happens to be whole is an int when it is evaluated, so `%` may work.
  if (isNumeric(a) && isNumeric(b)) return ["number"];
  if (op === "+" && a === b && (a === "string" || a === "array" || a === "duration")) return [a];
  if (op === "-" && a === b && (a === "timestamp" || a === "duration")) return ["duration"];
  if (a === "timestamp" && b === "duration" && (op === "+" || op === "-")) return ["timestamp"];
  return op === "+" && a === "duration" && b === "timestamp" ? ["timestamp"] : [];
}

function literalSchema(value: unknown): JsonSchema {
  if (value === null) return { type: "null" };
  if (typeof value === "string") return STRING;
  if (typeof value === "boolean") return BOOL;
  if (typeof value === "number") return NUMBER;
  return value instanceof Uint8Array ? { type: "bytes" } : INT;
}

/** The schema of the value as JSON: a timestamp is text by then, a duration a number of milliseconds. */
function publish(schema: JsonSchema): JsonSchema {
  if (schema.type === "timestamp") return { type: "string", format: "date-time" };
  if (schema.type === "duration") return NUMBER;
  if (schema.type === "bytes") return STRING;
  return {
    ...schema,
    ...(schema.items ? { items: publish(schema.items) } : {}),
    ...(schema.anyOf ? { anyOf: schema.anyOf.map(publish) } : {}),
    ...(schema.properties
      ? {
          properties: Object.fromEntries(
            Object.entries(schema.properties).map(([key, value]) => [key, publish(value)]),
          ),
        }
      : {}),
  };
}
