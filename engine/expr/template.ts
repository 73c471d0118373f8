import { PgdbaError } from "../errors.ts";
import type { Variables } from "../types.ts";
import { ExprError, expressionFailed } from "./ast.ts";
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
  type Statement,
} from "./template-ast.ts";
import { Dict, fromCel, List, toCel, type Value } from "./values.ts";
import { didYouMean, withArticle } from "./wording.ts";
import { Work } from "./work.ts";

/**
 * Renders Handlebars text: paths, `if`, `unless`, `each`, `with`, `lookup`, `json`, `join`; no partials, decorators or other
 * helpers. Nothing is escaped, a missing path is an error, and what a value contains is never rendered again. Lists and
 * maps print as JSON, null as `null`.
 * @throws PgdbaError expression_failed (`data`: source, start, end) · limit_exceeded beyond 1 MiB of text
 * @throws UnknownValue
 */
export function renderText(text: string, vars: Variables): string {
  try {
    return new Renderer(text, Dict.lift(vars)).render();
  } catch (error) {
    if (error instanceof RangeError) {
      throw new PgdbaError("limit_exceeded", "the text is nested too deep", {
        hint: "Simplify it.",
        cause: error,
      });
    }
    throw expressionFailed(error, text);
  }
}

/** Where paths are resolved: the context of a block, its `@` data and its block parameters. */
interface Frame {
  context: Value;
  outer: Frame | undefined;
  data: Map<string, Value>;
  locals: Map<string, Value>;
}

class Renderer {
  readonly #text: string;
  readonly #root: Dict;
  readonly #work = new Work();
  #out = "";

  constructor(text: string, root: Dict) {
    this.#text = text;
    this.#root = root;
  }

  render(): string {
    const frame: Frame = {
      context: this.#root,
      outer: undefined,
      data: new Map(),
      locals: new Map(),
    };
    this.#program(parseText(this.#text), frame);
    return this.#out;
  }

  #fail(node: Expression | Statement | CallNode, message: string, hint: string): never {
    throw new ExprError(spanOf(this.#text, node), message, hint);
  }

  #write(text: string): void {
    this.#work.total(this.#out.length + text.length);
    this.#out += text;
  }

  #program(program: Program | undefined, frame: Frame): void {
    for (const statement of program?.body ?? []) {
      this.#work.charge(1);
      if (statement.type === "ContentStatement") this.#write(statement.value);
      else if (statement.type === "MustacheStatement")
        this.#write(print(this.#value(statement, frame)));
      else if (statement.type === "BlockStatement") this.#block(statement, frame);
      else if (statement.type !== "CommentStatement") {
        this.#fail(
          statement,
          "partials and decorators are not supported",
          "Write the text out, or give it as a value.",
        );
      }
    }
  }

  #value(call: CallNode, frame: Frame): Value {
    const { path, params } = call;
    const name = path.type === "PathExpression" ? path.original : "";
    if (params.length === 0 && !call.hash && HELPERS[name] === undefined)
      return this.#expression(path, frame);
    if (HELPERS[name] === undefined) {
      this.#fail(path, `there is no helper ${name}`, didYouMean(name, Object.keys(HELPERS)));
    }
    if (params.length !== HELPERS[name] || call.hash) {
      this.#fail(
        call,
        `${name} takes ${HELPERS[name]} value${HELPERS[name] === 1 ? "" : "s"}`,
        "Write {{json value}}, {{join list ', '}} or {{lookup map key}}.",
      );
    }
    const [first, second] = params.map((param) => this.#expression(param, frame)) as [Value, Value];
    if (name === "json") return JSON.stringify(fromCel(first));
    if (name === "lookup") return this.#step(first, print(second), call, params[0]!);
    if (!(first instanceof List))
      this.#fail(
        params[0]!,
        `join takes a list, this is ${withArticle(first)}`,
        "Write {{join list ', '}}.",
      );
    this.#work.charge(first.size);
    return Array.from(first, print).join(print(second));
  }

  #expression(node: Expression, frame: Frame): Value {
    this.#work.charge(1);
    switch (node.type) {
      case "PathExpression":
        return this.#path(node, frame);
      case "SubExpression":
        return this.#value(node, frame);
      case "NullLiteral":
      case "UndefinedLiteral":
        return null;
      default:
        return toCel(node.value);
    }
  }

  #path(node: PathNode, frame: Frame): Value {
    const [head] = node.parts;
    let from: Frame | undefined = frame;
    for (let i = 0; i < node.depth && from; i++) from = from.outer;
    if (!from)
      this.#fail(node, `${node.original} goes up further than there are blocks`, "Remove a ../");
    if (node.data) return this.#data(node, frame);
    const local = node.depth === 0 && head !== undefined ? findLocal(frame, head) : undefined;
    if (local !== undefined && !/^(this|\.)/.test(node.original)) return this.#walk(local, node, 1);
    return this.#walk(from.context, node, 0);
  }

  #data(node: PathNode, frame: Frame): Value {
    const [name = ""] = node.parts;
    if (name === "root") return this.#walk(this.#root, node, 1);
    for (let at: Frame | undefined = frame; at; at = at.outer) {
      const value = at.data.get(name);
      if (value !== undefined) return this.#walk(value, node, 1);
    }
    return this.#fail(node, `there is no @${name} here`, didYouMean(name, DATA_NAMES));
  }

  #walk(start: Value, node: PathNode, first: number): Value {
    let value = start;
    for (let i = first; i < node.parts.length; i++)
      value = this.#step(value, node.parts[i]!, node, node, i);
    return value;
  }

  /** One key further. `index` says which segment of the path it is, for the message. */
  #step(
    owner: Value,
    key: string,
    at: CallNode | PathNode,
    path: Expression,
    index?: number,
  ): Value {
    const found =
      owner instanceof Dict
        ? owner.get(key)
        : owner instanceof List && /^\d{1,9}$/.test(key) && Number(key) < owner.size
          ? owner.at(Number(key))
          : undefined;
    if (found !== undefined) return found;
    const isPath = path.type === "PathExpression";
    const whole = isPath ? path.original : "the value";
    const span =
      (isPath && index !== undefined && segmentSpans(this.#text, path)[index]) ||
      spanOf(this.#text, at);
    const before = isPath && index !== undefined ? path.parts.slice(0, index).join(".") : whole;
    const kind = owner instanceof Dict ? "" : `; ${before || "this"} is ${withArticle(owner)}`;
    const isOuter = index === 0 && owner !== this.#root && this.#root.has(key);
    const hint = isOuter
      ? `Inside {{#each}} or {{#with}} write ../${whole} or @root.${whole}.`
      : owner instanceof Dict
        ? didYouMean(key, owner.names())
        : "Only lists and maps have parts.";
    throw new ExprError(
      span,
      `{{${whole}}} is missing: there is no ${key}${before ? ` in ${before}` : ""}${kind}`,
      hint,
    );
  }

  #block(node: BlockNode, frame: Frame): void {
    const name = node.path.type === "PathExpression" ? node.path.original : "";
    if (!BLOCKS.includes(name)) {
      this.#fail(node.path, `there is no block {{#${name}}}`, `There are: #${BLOCKS.join(", #")}.`);
    }
    if (node.params.length !== 1)
      this.#fail(node, `{{#${name}}} takes one value`, `Write {{#${name} value}}.`);
    const value = this.#expression(node.params[0]!, frame);
    if (name === "each") return this.#each(node, value, frame);
    const truthy = isTruthy(value);
    if (name === "with" && truthy) {
      const [local] = node.program?.blockParams ?? [];
      const locals = new Map(local === undefined ? [] : [[local, value] as const]);
      return this.#program(node.program, { context: value, outer: frame, data: new Map(), locals });
    }
    this.#program(truthy === (name !== "unless") ? node.program : node.inverse, frame);
  }

  #each(node: BlockNode, value: Value, frame: Frame): void {
    if (!(value instanceof List || value instanceof Dict)) {
      this.#fail(
        node.params[0]!,
        `{{#each}} goes over a list or a map, this is ${withArticle(value)}`,
        "Give it a list.",
      );
    }
    const keys = value instanceof Dict ? value.names() : undefined;
    const count = keys ? keys.length : (value as List).size;
    if (count === 0) return this.#program(node.inverse, frame);
    const [itemName, keyName] = node.program?.blockParams ?? [];
    for (let i = 0; i < count; i++) {
      const key = keys ? keys[i]! : BigInt(i);
      const context = value instanceof Dict ? value.get(keys![i]!)! : value.at(i);
      const data = new Map<string, Value>([
        ["index", BigInt(i)],
        ["key", key],
        ["first", i === 0],
        ["last", i === count - 1],
      ]);
      const locals = new Map<string, Value>();
      if (itemName !== undefined) locals.set(itemName, context);
      if (keyName !== undefined) locals.set(keyName, key);
      this.#program(node.program, { context, outer: frame, data, locals });
    }
  }
}

function findLocal(frame: Frame, name: string): Value | undefined {
  for (let at: Frame | undefined = frame; at; at = at.outer) {
    const value = at.locals.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** As Handlebars has it: false, null, zero, empty text and an empty list are false. */
function isTruthy(value: Value): boolean {
  if (value instanceof List) return value.size > 0;
  return !(value === null || value === false || value === "" || value === 0n || value === 0);
}

function print(value: Value): string {
  const json = fromCel(value);
  return typeof json === "string" ? json : JSON.stringify(json);
}
