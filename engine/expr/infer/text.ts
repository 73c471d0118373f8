import type { JsonSchema } from "../../types.ts";
import {
  describe,
  DYNAMIC,
  elementOf,
  mayBe,
  memberOf,
  type Scope,
  STRING,
  union,
} from "../schema-types.ts";
import {
  DATA_NAMES,
  ELEMENT_DATA,
  faultsOf,
  helperOf,
  isScoped,
  pathOf,
} from "../template/rules.ts";
import {
  type BlockNode,
  type CallNode,
  type Expression,
  type Located,
  parseText,
  type PathNode,
  type Program,
  segmentSpans,
  spanOf,
} from "../template/syntax.ts";
import { didYouMean } from "../wording.ts";
import { type ExprProblem, Problems } from "./problems.ts";

/** A value as far as it is known: its schema, and which one it is, so that `{{#with .}}` is seen to be no level of its own. */
interface Known {
  schema: JsonSchema;
  identity: string;
}
interface Depth {
  context: Known;
  outer: Depth | undefined;
}
interface Frame {
  depth: Depth;
  context: Known;
  outer: Frame | undefined;
  locals: ReadonlyMap<string, Known>;
  /** The number of `{{#each}}` around. */
  turns: number;
}

/** Checks the paths, helpers and blocks of a Handlebars text. `{{{` is refused: nothing is escaped, so it means nothing. */
export function checkText(text: string, scope: Scope): ExprProblem[] {
  const problems = new Problems(text);
  const root = { type: "object", properties: scope, additionalProperties: false };
  const context = { schema: root, identity: "root" };
  try {
    const program = parseText(text);
    const faults = faultsOf(program);
    for (const { at, rule, message, hint } of faults)
      problems.report(spanOf(text, at), rule, message, hint);
    const refused = new Set(faults.map((fault) => fault.node));
    new TextChecker(text, context, problems, refused).program(program, {
      depth: { context, outer: undefined },
      context,
      outer: undefined,
      locals: new Map(),
      turns: 0,
    });
  } catch (error) {
    problems.syntax(error);
  }
  return problems.list.toSorted((a, b) => a.start - b.start);
}

class TextChecker {
  readonly #text: string;
  readonly #root: Known;
  readonly #problems: Problems;
  readonly #refused: ReadonlySet<Located>;
  #count = 0;

  constructor(text: string, root: Known, problems: Problems, refused: ReadonlySet<Located>) {
    this.#text = text;
    this.#root = root;
    this.#problems = problems;
    this.#refused = refused;
  }

  #at(node: Located): { start: number; end: number } {
    return spanOf(this.#text, node);
  }

  /** A value that is no other one. */
  #new(schema: JsonSchema): Known {
    return { schema, identity: `new ${this.#count++}` };
  }

  program(program: Program | undefined, frame: Frame): void {
    for (const statement of program?.body ?? []) {
      if (statement.type === "BlockStatement") this.#block(statement, frame);
      if (statement.type !== "MustacheStatement") continue;
      if (!statement.escaped)
        this.#problems.report(
          this.#at(statement),
          "triple-braces",
          "nothing is escaped, so {{{ is not needed",
          "Write {{name}}.",
        );
      this.#value(statement, frame);
    }
  }

  #value(call: CallNode, frame: Frame): Known {
    const name = helperOf(call);
    const args = call.params.map((param) => this.#expression(param, frame));
    if (name === undefined) {
      const path = this.#refused.has(call) ? undefined : pathOf(call.path);
      return path ? this.#path(path, frame) : this.#new(DYNAMIC);
    }
    const [list] = args;
    if (name === "join" && list && !mayBe(list.schema, "array")) {
      this.#problems.report(
        this.#at(call.params[0]!),
        "type-mismatch",
        `join takes a list, this is ${describe(list.schema)}`,
        "Write {{join list ', '}}.",
      );
    }
    if (name === "count" && list && !mayBe(list.schema, "number")) {
      this.#problems.report(
        this.#at(call.params[0]!),
        "type-mismatch",
        `count takes a number, this is ${describe(list.schema)}`,
        "Write {{count n 'row' 'rows'}}.",
      );
    }
    return this.#new(name === "lookup" ? DYNAMIC : STRING);
  }

  #expression(node: Expression, frame: Frame): Known {
    if (node.type === "PathExpression") return this.#path(node, frame);
    return node.type === "SubExpression" ? this.#value(node, frame) : this.#new(DYNAMIC);
  }

  #path(node: PathNode, frame: Frame): Known {
    const [head] = node.parts;
    if (node.depth === 0 && head !== undefined && !isScoped(node)) {
      for (let at: Frame | undefined = frame; at; at = at.outer) {
        const local = at.locals.get(head);
        if (local) return this.#walk(local, node, 1);
      }
    }
    if (node.data) return this.#data(node, head ?? "", frame);
    let from: Depth | undefined = frame.depth;
    for (let i = 0; i < node.depth && from; i++) from = from.outer;
    if (from) return this.#walk(node.depth === 0 ? frame.context : from.context, node, 0);
    this.#problems.report(
      this.#at(node),
      "unknown-key",
      `${node.original} goes up further than there are blocks`,
      "Remove a ../",
    );
    return this.#new(DYNAMIC);
  }

  #data(node: PathNode, name: string, frame: Frame): Known {
    const turns = frame.turns - node.depth;
    if (name === "root" && turns >= 0) return this.#walk(this.#root, node, 1);
    if (turns > 0 && ELEMENT_DATA.includes(name)) return this.#new(DYNAMIC);
    this.#problems.report(
      this.#at(node),
      "unknown-variable",
      `there is no ${node.original} here`,
      turns > 0
        ? didYouMean(name, DATA_NAMES)
        : "@index, @key, @first and @last are for {{#each}}, with @../ for the one around it.",
    );
    return this.#new(DYNAMIC);
  }

  #walk(start: Known, node: PathNode, first: number): Known {
    let { schema, identity } = start;
    for (const [i, key] of node.parts.entries()) {
      if (i < first) continue;
      identity += `/${key.replaceAll("/", "//")}`;
      if (/^(0|[1-9]\d*)$/.test(key) && mayBe(schema, "array")) {
        schema = elementOf(schema);
        continue;
      }
      const member = memberOf(schema, key);
      if (!("schema" in member)) {
        this.#missing(node, i, key, schema, "keys" in member ? member.keys : []);
        return this.#new(DYNAMIC);
      }
      schema = member.schema;
    }
    return { schema, identity };
  }

  #missing(node: PathNode, i: number, key: string, owner: JsonSchema, keys: string[]): void {
    const at = segmentSpans(this.#text, node)[i] ?? this.#at(node);
    const before = node.parts.slice(0, i).join(".") || "this";
    const report = (rule: string, message: string, hint: string): void => {
      this.#problems.report(at, rule, message, hint);
    };
    if (owner === this.#root.schema)
      report("unknown-variable", `there is no variable ${key}`, didYouMean(key, keys));
    else if (i === 0 && "schema" in memberOf(this.#root.schema, key))
      report(
        "unknown-key",
        `there is no ${key} inside this block`,
        `Write ../${node.original} or @root.${node.original}.`,
      );
    else if (!mayBe(owner, "object"))
      report(
        "type-mismatch",
        `${before} is ${describe(owner)}, it has no key ${key}`,
        "Only lists and maps have parts.",
      );
    else report("unknown-key", `${before} has no key ${key}`, didYouMean(key, keys));
  }

  #block(node: BlockNode, frame: Frame): void {
    const name = pathOf(node.path)?.original ?? "";
    const [value = this.#new(DYNAMIC)] = node.params.map((param) => this.#expression(param, frame));
    for (const option of node.hash?.pairs ?? []) this.#expression(option.value, frame);
    if (name === "each" && !mayBe(value.schema, "array", "object"))
      this.#problems.report(
        this.#at(node.params[0]!),
        "type-mismatch",
        `{{#each}} goes over a list or a map, this is ${describe(value.schema)}`,
        "Give it a list.",
      );
    const isLevel = name === "each" || name === "with";
    this.program(node.program, isLevel ? this.#inner(name, node, value, frame) : frame);
    this.program(node.inverse, frame);
  }

  #inner(name: string, node: BlockNode, value: Known, outer: Frame): Frame {
    const isEach = name === "each";
    const context = isEach ? this.#new(itemOf(value.schema)) : value;
    const [item, key] = node.program?.blockParams ?? [];
    const locals = new Map<string, Known>();
    if (item !== undefined) locals.set(item, context);
    if (key !== undefined) locals.set(key, this.#new(DYNAMIC));
    const isSame = context.identity === outer.depth.context.identity;
    const depth = isSame ? outer.depth : { context, outer: outer.depth };
    return { depth, context, outer, locals, turns: outer.turns + Number(isEach) };
  }
}

/** The items that `{{#each}}` goes over. */
function itemOf(schema: JsonSchema): JsonSchema {
  if (!mayBe(schema, "object")) return elementOf(schema);
  if (mayBe(schema, "array")) return DYNAMIC;
  const values = Object.values(schema.properties ?? {});
  if (typeof schema.additionalProperties === "object") values.push(schema.additionalProperties);
  return schema.additionalProperties === undefined || values.length === 0 ? DYNAMIC : union(values);
}
