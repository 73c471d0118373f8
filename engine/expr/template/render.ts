import { PgdbaError } from "../../errors.ts";
import type { Variables } from "../../types.ts";
import { ExprError, expressionFailed } from "../ast.ts";
import { contextAt, type Data, findLocal, type Frame, isTruthy, NO_NAMES } from "./frames.ts";
import { DATA_NAMES, faultsOf, helperOf, isScoped, pathOf } from "./rules.ts";
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
} from "./syntax.ts";
import { Dict, fromCel, List, toCel, type Value } from "../values.ts";
import { didYouMean, short, withArticle } from "../wording.ts";
import { Work } from "../work.ts";

/**
 * Renders Handlebars text: paths, `if`, `unless`, `each`, `with`, `lookup`, `json`, `join`, `count`; no partials, decorators or other
 * helpers. What it renders is what Handlebars 4.7 gives, but nothing is escaped, a missing path is an error, what a value
 * contains is never rendered again, and lists and maps print as JSON, null as `null`.
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
      data: { values: undefined, outer: undefined },
      locals: NO_NAMES,
    };
    const program = parseText(this.#text);
    const [fault] = faultsOf(program);
    if (fault) this.#fail(fault.at, fault.message, fault.hint);
    this.#program(program, frame);
    return this.#out;
  }

  #fail(node: Located, message: string, hint: string): never {
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
    }
  }

  #value(call: CallNode, frame: Frame): Value {
    const name = helperOf(call);
    if (name === undefined) return this.#path(pathOf(call.path)!, frame);
    const { params } = call;
    const [first, second] = params.map((param) => this.#expression(param, frame)) as [Value, Value];
    if (name === "json") return this.#charged(JSON.stringify(fromCel(first, this.#work)));
    if (name === "lookup") {
      if (second instanceof List || second instanceof Dict)
        this.#fail(
          params[1]!,
          `a key is text or a number, this is ${withArticle(second)}`,
          "Name a key.",
        );
      return this.#step(first, print(second), call, params[0]!);
    }
    // A number with its word: `1 row`, `2 rows`.
    if (name === "count") {
      const many = this.#expression(params[2]!, frame);
      return this.#charged(`${print(first)} ${print(Number(first) === 1 ? second : many)}`);
    }
    if (!(first instanceof List))
      this.#fail(
        params[0]!,
        `join takes a list, this is ${withArticle(first)}`,
        "Write {{join list ', '}}.",
      );
    this.#work.charge(first.size);
    return this.#charged(Array.from(first, print).join(print(second)));
  }

  #charged(text: string): string {
    this.#work.text(text.length);
    return text;
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
    if (node.depth === 0 && head !== undefined && !isScoped(node)) {
      const local = findLocal(frame, head);
      if (local !== undefined) return this.#walk(local, node, 1);
    }
    if (node.data) return this.#data(node, frame);
    const from = contextAt(frame, node.depth, this.#work);
    if (from === undefined)
      this.#fail(node, `${node.original} goes up further than there are blocks`, "Remove a ../");
    return this.#walk(from, node, 0);
  }

  #data(node: PathNode, frame: Frame): Value {
    const [name = ""] = node.parts;
    let data: Data | undefined = frame.data;
    for (let i = 0; i < node.depth && data; i++) data = data.outer;
    const value = data && this.#named(data, name);
    if (value !== undefined) return this.#walk(value, node, 1);
    return this.#fail(
      node,
      `there is no ${node.original} here`,
      node.depth > 0
        ? "@../index is the index of the {{#each}} around this one."
        : didYouMean(name, DATA_NAMES),
    );
  }

  #named({ values }: Data, name: string): Value | undefined {
    if (name === "root") return this.#root;
    return values && Object.hasOwn(values, name) ? values[name as keyof typeof values] : undefined;
  }

  #walk(start: Value, node: PathNode, first: number): Value {
    let value = start;
    for (let i = first; i < node.parts.length; i++)
      value = this.#step(value, node.parts[i]!, node, node, i);
    return value;
  }

  /** Goes one key further. `index` says which segment of the path it is, for the message. */
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
        : owner instanceof List && /^(0|[1-9]\d{0,8})$/.test(key) && Number(key) < owner.size
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
        : key === "length"
          ? "In CEL it is size(x)."
          : "Only lists and maps have parts.";
    throw new ExprError(
      span,
      `{{${whole}}} is missing: there is no ${short(key)}${before ? ` in ${before}` : ""}${kind}`,
      hint,
    );
  }

  #block(node: BlockNode, frame: Frame): void {
    const name = pathOf(node.path)!.original;
    const value = this.#expression(node.params[0]!, frame);
    if (name === "each") return this.#each(node, value, frame);
    if (name === "with") return this.#with(node, value, frame);
    const [option] = node.hash?.pairs ?? [];
    const includesZero = option !== undefined && isSet(this.#expression(option.value, frame));
    const holds = isTruthy(value, includesZero) === (name === "if");
    this.#program(holds ? node.program : node.inverse, frame);
  }

  #with(node: BlockNode, context: Value, frame: Frame): void {
    if (!isTruthy(context, true)) return this.#program(node.inverse, frame);
    const locals = namesOf([node.program?.blockParams?.[0], context]);
    this.#program(node.program, { context, outer: frame, data: frame.data, locals });
  }

  #each(node: BlockNode, value: Value, frame: Frame): void {
    if (value === null) return this.#program(node.inverse, frame);
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
      this.#work.charge(1);
      const key = keys ? keys[i]! : BigInt(i);
      const context = value instanceof Dict ? value.get(keys![i]!)! : value.at(i);
      const values = { index: BigInt(i), key, first: i === 0, last: i === count - 1 };
      const data = { values, outer: frame.data };
      const locals = namesOf([itemName, context], [keyName, key]);
      this.#program(node.program, { context, outer: frame, data, locals });
    }
  }
}

/** Values by the names that a block gives them, if any. */
function namesOf(...named: [string | undefined, Value][]): ReadonlyMap<string, Value> {
  const given = named.filter((pair): pair is [string, Value] => pair[0] !== undefined);
  return given.length === 0 ? NO_NAMES : new Map(given);
}

/** True for the values that JavaScript takes for true: an empty list, too. */
const isSet = (value: Value): boolean => value instanceof List || isTruthy(value, false);

function print(value: Value): string {
  const json = fromCel(value);
  return typeof json === "string" ? json : JSON.stringify(json);
}
