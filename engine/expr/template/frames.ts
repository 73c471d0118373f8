import { Dict, List, scalarToJson, type Value } from "../values.ts";
import type { Work } from "../work.ts";

/** A context with those around it, as `../` sees them. */
interface Depth {
  context: Value;
  outer: Depth | undefined;
}

/** The values of the names after an `@`, in a turn of `{{#each}}` within those around it; outermost there is only `@root`. */
export interface Data {
  values: { index: Value; key: Value; first: boolean; last: boolean } | undefined;
  outer: Data | undefined;
}

export const NO_NAMES: ReadonlyMap<string, Value> = new Map();

/** The scope in which paths are resolved: the context of a block, its `@` data and its block parameters. */
export interface Frame {
  context: Value;
  outer: Frame | undefined;
  data: Data;
  locals: ReadonlyMap<string, Value>;
  depth?: Depth;
}

/** The context `up` levels further out; undefined when there are not as many. */
export function contextAt(frame: Frame, up: number, work: Work): Value | undefined {
  if (up === 0) return frame.context;
  let depth: Depth | undefined = depthOf(frame, work);
  for (let i = 0; i < up && depth; i++) depth = depth.outer;
  return depth?.context;
}

/** As Handlebars has it: a block whose context is the one around it, as in `{{#with .}}`, is no level of its own. */
function depthOf(frame: Frame, work: Work): Depth {
  if (frame.depth) return frame.depth;
  const outer = frame.outer && depthOf(frame.outer, work);
  const isLevel = !outer || !isSame(frame.context, outer.context, work);
  return (frame.depth = isLevel ? { context: frame.context, outer } : outer);
}

export function findLocal(frame: Frame, name: string): Value | undefined {
  for (let at: Frame | undefined = frame; at; at = at.outer) {
    const value = at.locals.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The same list or map, or values that JavaScript's `==` takes for equal: that is how Handlebars compares contexts. */
function isSame(a: Value, b: Value, work: Work): boolean {
  if (a instanceof List && b instanceof List) return a.isSame(b);
  if (a instanceof Dict && b instanceof Dict) return a.isSame(b);
  if (a === null || b === null) return a === b;
  return primitive(a, work) == primitive(b, work); // oxlint-disable-line eqeqeq -- as said above
}

/** The form of a value that `==` compares: of a list its items joined, of a map the text `[object Object]`. */
function primitive(value: Value, work: Work): string | number | boolean {
  if (value instanceof Dict) return "[object Object]";
  if (!(value instanceof List)) return scalarToJson(value) as string | number | boolean;
  work.charge(value.size);
  return Array.from(value, (item) => (item === null ? "" : String(primitive(item, work)))).join(
    ",",
  );
}

/** False are false, null, empty text, NaN, an empty list, and zero unless it is `included`. */
export function isTruthy(value: Value, included: boolean): boolean {
  if (value instanceof List) return value.size > 0;
  if (value === 0n || value === 0) return included;
  return !(value === null || value === false || value === "" || Number.isNaN(value));
}
