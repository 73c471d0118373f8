import { didYouMean } from "../wording.ts";
import type { BlockNode, CallNode, Expression, Located, PathNode, Program } from "./syntax.ts";

/** Helpers that give a value, and how many they take; anything else called with values is refused. */
const HELPERS: Readonly<Record<string, number>> = {
  __proto__: null as never,
  json: 1,
  join: 2,
  lookup: 2,
  count: 3,
};
/** Blocks, and how many names they give to what they hold: `{{#each list as |item key|}}`. */
const BLOCKS: Readonly<Record<string, number>> = {
  __proto__: null as never,
  if: 0,
  unless: 0,
  each: 2,
  with: 1,
};
/** Names after an `@` that each turn of `{{#each}}` has. */
export const ELEMENT_DATA = ["index", "key", "first", "last"];
export const DATA_NAMES = ["root", ...ELEMENT_DATA];

/** Names that Handlebars takes for a helper where they stand alone. */
const TAKEN = [
  ...Object.keys(HELPERS),
  ...Object.keys(BLOCKS),
  "log",
  "helperMissing",
  "blockHelperMissing",
];

/** A fault that no data can mend. */
export interface Fault {
  node: Located;
  at: Located;
  rule: string;
  message: string;
  hint: string;
}

/** The path that is called or read. A literal there is a name: `{{"odd key"}}` and `{{12}}` read keys. */
export function pathOf(expression: Expression): PathNode | undefined {
  if (expression.type === "PathExpression") return expression;
  if (expression.type === "SubExpression") return undefined;
  const name = String(expression.original);
  return {
    type: "PathExpression",
    data: false,
    depth: 0,
    parts: [name],
    original: name,
    loc: expression.loc,
  };
}

/** True when a path is about the current context only: `this.x`, `./x`, `../x`. The pattern is Handlebars' own. */
export const isScoped = (path: PathNode): boolean => /^\.|this\b/.test(path.original);

/** The helper that a call is of; undefined for a value that is read. */
export function helperOf(call: CallNode): string | undefined {
  const name = pathOf(call.path)?.original ?? "";
  return HELPERS[name] === undefined ? undefined : name;
}

const known = new WeakMap<Program, Fault[]>();

/** The faults of a text that no data can mend; the static check and the renderer both ask for them. */
export function faultsOf(program: Program): Fault[] {
  let faults = known.get(program);
  if (!faults) known.set(program, (faults = [...faultsIn(program)]));
  return faults;
}

function* faultsIn(program: Program | undefined): Generator<Fault> {
  for (const node of program?.body ?? []) {
    if (node.type === "MustacheStatement") yield* faultsOfCall(node, false);
    else if (node.type === "BlockStatement") {
      const fault = faultOfBlock(node);
      if (fault) yield fault;
      const options = node.hash?.pairs.map((pair) => pair.value) ?? [];
      for (const value of [...node.params, ...options]) yield* faultsOfValue(value);
      yield* faultsIn(node.program);
      yield* faultsIn(node.inverse);
    } else if (node.type !== "ContentStatement" && node.type !== "CommentStatement")
      yield {
        node,
        at: node,
        rule: "unknown-helper",
        message: "partials and decorators are not supported",
        hint: "Write the text out, or give it as a value.",
      };
  }
}

function* faultsOfCall(call: CallNode, isInner: boolean): Generator<Fault> {
  const fault = faultOfCall(call, isInner);
  if (fault) yield fault;
  for (const value of call.params) yield* faultsOfValue(value);
}

function* faultsOfValue(value: Expression): Generator<Fault> {
  if (value.type === "SubExpression") yield* faultsOfCall(value, true);
}

/** The fault of a call or a value in `{{…}}`, or, with `isInner`, of a call in `(…)`; a mere value is a fault there. */
function faultOfCall(call: CallNode, isInner: boolean): Fault | undefined {
  const path = pathOf(call.path);
  const name = path?.original ?? "";
  const arity = HELPERS[name];
  const isCall = isInner || call.params.length > 0 || call.hash !== undefined;
  if (arity === undefined && isCall)
    return {
      node: call,
      at: call.path,
      rule: "unknown-helper",
      message: `there is no helper ${name}`,
      hint: didYouMean(name, Object.keys(HELPERS)),
    };
  if (arity === undefined) {
    const isSimple = path && path.parts.length === 1 && path.depth === 0 && !isScoped(path);
    if (!isSimple || path.data || !TAKEN.includes(name)) return undefined;
    return {
      node: call,
      at: call.path,
      rule: "unknown-helper",
      message: `{{${name}}} calls a helper, it does not read a value`,
      hint: `A value of that name is {{this.${name}}}; blocks begin with #.`,
    };
  }
  if (call.params.length === arity && !call.hash) return undefined;
  return {
    node: call,
    at: call,
    rule: "wrong-arguments",
    message: `${name} takes ${arity} value${arity === 1 ? "" : "s"}`,
    hint: "Write {{json value}}, {{join list ', '}}, {{lookup map key}} or {{count n 'row' 'rows'}}.",
  };
}

function faultOfBlock(node: BlockNode): Fault | undefined {
  const name = pathOf(node.path)?.original ?? "";
  const names = BLOCKS[name];
  if (names === undefined)
    return {
      node,
      at: node.path,
      rule: "unknown-helper",
      message: `there is no block {{#${name}}}`,
      hint: `There are: #${Object.keys(BLOCKS).join(", #")}.`,
    };
  const wrong = (message: string, hint: string): Fault => ({
    node,
    at: node,
    rule: "wrong-arguments",
    message,
    hint,
  });
  if (node.params.length !== 1)
    return wrong(`{{#${name}}} takes one value`, `Write {{#${name} value}}.`);
  const options = node.hash?.pairs.map((pair) => pair.key) ?? [];
  const isConditional = name === "if" || name === "unless";
  if (options.length > 0 && !(isConditional && options.join() === "includeZero"))
    return wrong(
      `{{#${name}}} does not take ${options.join(", ")}`,
      isConditional ? "It takes includeZero=true." : "It takes one value and no options.",
    );
  return faultOfNames(name, names, node, wrong);
}

function faultOfNames(
  block: string,
  most: number,
  node: BlockNode,
  wrong: (message: string, hint: string) => Fault,
): Fault | undefined {
  const given = node.program?.blockParams ?? [];
  if (given.length > most || node.inverse?.blockParams)
    return wrong(
      `{{#${block}}} gives ${["no names", "one name", "two names"][most]} to what it holds`,
      most === 0 ? "Remove `as |...|`." : "Write {{#each list as |item index|}}.",
    );
  const taken = given.find((name, i) => TAKEN.includes(name) || given.indexOf(name) < i);
  return taken === undefined
    ? undefined
    : wrong(`${taken} can't be a name here, it has a meaning already`, "Choose another name.");
}
