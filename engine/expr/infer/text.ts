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
  BLOCKS,
  type BlockNode,
  type CallNode,
  DATA_NAMES,
  type Expression,
  HELPERS,
  parseText,
  type PathNode,
  type Program,
  segmentSpans,
  spanOf,
} from "../template-ast.ts";
import { didYouMean } from "../wording.ts";
import { type ExprProblem, Problems } from "./problems.ts";

interface Frame {
  context: JsonSchema;
  outer: Frame | undefined;
  locals: Scope;
  isEach: boolean;
}

/** Checks the paths, helpers and blocks of a Handlebars text. `{{{` is refused: nothing is escaped, so it means nothing. */
export function checkText(text: string, scope: Scope): ExprProblem[] {
  const problems = new Problems(text);
  const root = { type: "object", properties: scope, additionalProperties: false };
  try {
    new TextChecker(text, root, problems).program(parseText(text), {
      context: root,
      outer: undefined,
      locals: {},
      isEach: false,
    });
  } catch (error) {
    problems.syntax(error);
  }
  return problems.list;
}

class TextChecker {
  readonly #text: string;
  readonly #root: JsonSchema;
  readonly #problems: Problems;

  constructor(text: string, root: JsonSchema, problems: Problems) {
    this.#text = text;
    this.#root = root;
    this.#problems = problems;
  }

  #at(node: Expression | CallNode): { start: number; end: number } {
    return spanOf(this.#text, node);
  }

  program(program: Program | undefined, frame: Frame): void {
    for (const statement of program?.body ?? []) {
      if (statement.type === "MustacheStatement") {
        const at = this.#at(statement);
        if (!statement.escaped)
          this.#problems.report(
            at,
            "triple-braces",
            "nothing is escaped, so {{{ is not needed",
            "Write {{name}}.",
          );
        this.#value(statement, frame);
      } else if (statement.type === "BlockStatement") this.#block(statement, frame);
      else if (statement.type !== "ContentStatement" && statement.type !== "CommentStatement") {
        this.#problems.report(
          spanOf(this.#text, statement),
          "unknown-helper",
          "partials and decorators are not supported",
          "Write the text out.",
        );
      }
    }
  }

  #value(call: CallNode, frame: Frame): JsonSchema {
    const name = call.path.type === "PathExpression" ? call.path.original : "";
    const arity = HELPERS[name];
    if (arity === undefined && call.params.length === 0 && !call.hash)
      return this.#expression(call.path, frame);
    const args = call.params.map((param) => this.#expression(param, frame));
    if (arity === undefined) {
      return this.#problems.report(
        this.#at(call.path),
        "unknown-helper",
        `there is no helper ${name}`,
        didYouMean(name, Object.keys(HELPERS)),
      );
    }
    if (args.length !== arity || call.hash) {
      return this.#problems.report(
        this.#at(call),
        "wrong-arguments",
        `${name} takes ${arity} value${arity === 1 ? "" : "s"}`,
        "Write {{json value}}, {{join list ', '}} or {{lookup map key}}.",
      );
    }
    if (name === "join" && !mayBe(args[0]!, "array")) {
      this.#problems.report(
        this.#at(call.params[0]!),
        "type-mismatch",
        `join takes a list, this is ${describe(args[0]!)}`,
        "Write {{join list ', '}}.",
      );
    }
    return name === "lookup" ? DYNAMIC : STRING;
  }

  #expression(node: Expression, frame: Frame): JsonSchema {
    if (node.type === "PathExpression") return this.#path(node, frame);
    return node.type === "SubExpression" ? this.#value(node, frame) : DYNAMIC;
  }

  #path(node: PathNode, frame: Frame): JsonSchema {
    const [head = ""] = node.parts;
    if (node.data) return this.#data(node, head, frame);
    let from: Frame | undefined = frame;
    for (let i = 0; i < node.depth && from; i++) from = from.outer;
    if (!from)
      return this.#problems.report(
        this.#at(node),
        "unknown-key",
        `${node.original} goes up further than there are blocks`,
        "Remove a ../",
      );
    if (node.depth === 0 && !/^(this|\.)/.test(node.original)) {
      for (let at: Frame | undefined = frame; at; at = at.outer) {
        if (Object.hasOwn(at.locals, head)) return this.#walk(at.locals[head]!, node, 1);
      }
    }
    return this.#walk(from.context, node, 0);
  }

  #data(node: PathNode, name: string, frame: Frame): JsonSchema {
    if (name === "root") return this.#walk(this.#root, node, 1);
    let inEach = false;
    for (let at: Frame | undefined = frame; at; at = at.outer) inEach ||= at.isEach;
    if (inEach && DATA_NAMES.includes(name)) return DYNAMIC;
    return this.#problems.report(
      this.#at(node),
      "unknown-variable",
      `there is no @${name} here`,
      inEach ? didYouMean(name, DATA_NAMES) : "@index, @key, @first and @last are for {{#each}}.",
    );
  }

  #walk(start: JsonSchema, node: PathNode, first: number): JsonSchema {
    let schema = start;
    for (const [i, key] of node.parts.entries()) {
      if (i < first) continue;
      if (/^\d+$/.test(key) && mayBe(schema, "array")) {
        schema = elementOf(schema);
        continue;
      }
      const member = memberOf(schema, key);
      if (!("schema" in member))
        return this.#missing(node, i, key, schema, "keys" in member ? member.keys : []);
      schema = member.schema;
    }
    return schema;
  }

  #missing(node: PathNode, i: number, key: string, owner: JsonSchema, keys: string[]): JsonSchema {
    const at = segmentSpans(this.#text, node)[i] ?? this.#at(node);
    const before = node.parts.slice(0, i).join(".") || "this";
    if (owner === this.#root)
      return this.#problems.report(
        at,
        "unknown-variable",
        `there is no variable ${key}`,
        didYouMean(key, keys),
      );
    if (i === 0 && "schema" in memberOf(this.#root, key)) {
      return this.#problems.report(
        at,
        "unknown-key",
        `there is no ${key} inside this block`,
        `Write ../${node.original} or @root.${node.original}.`,
      );
    }
    if (!mayBe(owner, "object"))
      return this.#problems.report(
        at,
        "type-mismatch",
        `${before} is ${describe(owner)}, it has no key ${key}`,
        "Only lists and maps have parts.",
      );
    return this.#problems.report(
      at,
      "unknown-key",
      `${before} has no key ${key}`,
      didYouMean(key, keys),
    );
  }

  #block(node: BlockNode, frame: Frame): void {
    const name = node.path.type === "PathExpression" ? node.path.original : "";
    const value = node.params.map((param) => this.#expression(param, frame))[0] ?? DYNAMIC;
    if (!BLOCKS.includes(name)) {
      this.#problems.report(
        this.#at(node.path),
        "unknown-helper",
        `there is no block {{#${name}}}`,
        `There are: #${BLOCKS.join(", #")}.`,
      );
    } else if (node.params.length !== 1) {
      this.#problems.report(
        this.#at(node),
        "wrong-arguments",
        `{{#${name}}} takes one value`,
        `Write {{#${name} value}}.`,
      );
    } else if (name === "each" && !mayBe(value, "array", "object")) {
      this.#problems.report(
        this.#at(node.params[0]!),
        "type-mismatch",
        `{{#each}} goes over a list or a map, this is ${describe(value)}`,
        "Give it a list.",
      );
    }
    this.program(
      node.program,
      name === "each" || name === "with" ? this.#inner(name, node, value, frame) : frame,
    );
    this.program(node.inverse, frame);
  }

  #inner(name: string, node: BlockNode, value: JsonSchema, outer: Frame): Frame {
    const isEach = name === "each";
    const context = !isEach ? value : mayBe(value, "object") ? mapValueOf(value) : elementOf(value);
    const [item, key] = node.program?.blockParams ?? [];
    const locals: Scope = {
      ...(item === undefined ? {} : { [item]: context }),
      ...(key === undefined ? {} : { [key]: DYNAMIC }),
    };
    return { context, outer, locals, isEach };
  }
}

function mapValueOf(schema: JsonSchema): JsonSchema {
  if (mayBe(schema, "array")) return DYNAMIC;
  const values = Object.values(schema.properties ?? {});
  if (typeof schema.additionalProperties === "object") values.push(schema.additionalProperties);
  return schema.additionalProperties === undefined || values.length === 0 ? DYNAMIC : union(values);
}
