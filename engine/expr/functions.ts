import type { JsonSchema } from "../types.ts";
import { PgdbaError } from "../errors.ts";
import { checkedInt, compare, isNumber, ValueError } from "./operators.ts";
import { Regex, RegexError } from "./regex.ts";
import { parseBytes, parseDuration, parseLsn } from "./units.ts";
import { Dict, Duration, fromCel, List, typeName, type Value } from "./values.ts";
import type { Work } from "./work.ts";

/** A type of an argument; `number` is int or double, `|` joins several, `any` is all. */
export type Kind =
  | "any"
  | "string"
  | "bool"
  | "int"
  | "double"
  | "number"
  | "list"
  | "map"
  | "timestamp"
  | "duration"
  | "bytes";

/** One function or method. Evaluation and the static check both read this table, so they can't disagree. */
export interface Overload {
  receiver?: Kind;
  params: Kind[];
  /** What it gives; from the argument's schemas (receiver first) where that says more. */
  returns: JsonSchema | ((args: JsonSchema[]) => JsonSchema);
  run(args: any[], work: Work): Value;
}

const STRING: JsonSchema = { type: "string" };
const BOOL: JsonSchema = { type: "boolean" };
const INT: JsonSchema = { type: "integer" };
const NUMBER: JsonSchema = { type: "number" };
const STRINGS: JsonSchema = { type: "array", items: STRING };
export const TIMESTAMP: JsonSchema = { type: "timestamp" };
export const DURATION: JsonSchema = { type: "duration" };

const itemOf = ([list]: JsonSchema[]): JsonSchema => list?.items ?? {};

function sum([list]: [List], work: Work): Value {
  work.charge(list.size);
  let ints = 0n;
  let total: number | undefined;
  for (const item of list) {
    if (!isNumber(item)) {
      throw new ValueError(
        `sum() takes numbers, the list holds a ${typeName(item)}`,
        "Leave others out with .filter(x, x != null).",
      );
    }
    if (typeof item === "bigint" && total === undefined) ints = checkedInt(ints + item);
    else total = (total ?? Number(ints)) + Number(item);
  }
  return total ?? ints;
}

/** The least (`sign` 1) or greatest (-1) of the items. */
function extreme(name: string, sign: 1 | -1, items: Iterable<Value>): Value {
  let best: Value | undefined;
  for (const item of items) {
    const order = best === undefined ? compare(item, item) : compare(item, best);
    if (order === undefined) {
      throw new ValueError(
        `${name}() can't order a ${typeName(item)}${best === undefined ? "" : ` with a ${typeName(best)}`}`,
        "Leave others out with .filter(x, x != null).",
      );
    }
    if (best === undefined || order * sign < 0) best = item;
  }
  if (best === undefined)
    throw new ValueError(`${name}() of an empty list`, "Test size(list) > 0 first.");
  return best;
}

function toInt(value: Value): bigint {
  if (typeof value === "string" && /^\s*[-+]?\d{1,20}\s*$/.test(value))
    return checkedInt(BigInt(value.trim().replace("+", "")));
  if (typeof value === "number" && Number.isFinite(value))
    return checkedInt(BigInt(Math.trunc(value)));
  if (typeof value === "bigint") return value;
  if (value instanceof Date) return BigInt(Math.trunc(value.getTime() / 1000));
  throw new ValueError(
    `${shown(value)} is not an int`,
    "int() takes a whole number as text, or a number.",
  );
}

function toDouble(value: Value): number {
  if (isNumber(value)) return Number(value);
  const text = String(value).trim();
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) return Number(text);
  throw new ValueError(
    `${shown(value)} is not a number`,
    "double() takes a number as text, or a number.",
  );
}

function toText(value: Value): string {
  if (value instanceof Duration) return `${value.ms}ms`;
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  const json = fromCel(value);
  return typeof json === "string" ? json : JSON.stringify(json);
}

const shown = (value: Value): string =>
  typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : `a ${typeName(value)}`;

function round(value: bigint | number, digits: bigint): number | bigint {
  if (typeof value === "bigint") return value;
  if (digits < 0n || digits > 15n)
    throw new ValueError("round() takes 0 to 15 digits", "Write round(x, 2).");
  const factor = 10 ** Number(digits);
  const scaled = Math.round(Math.abs(value) * factor) / factor; // half away from zero, like PostgreSQL's numeric
  return Number.isFinite(scaled) ? Math.sign(value) * scaled : value;
}

function roundToInt(value: bigint | number): bigint {
  const rounded = round(value, 0n);
  if (!Number.isFinite(Number(rounded)))
    throw new ValueError("round() of a number that is not finite", "Guard the division before it.");
  return checkedInt(BigInt(rounded));
}

/** ISO 8601, or as PostgreSQL prints it; UTC where no zone is written. */
function timestamp(value: string): Date {
  const found =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[-+]\d\d(?::?\d\d)?)?)?$/.exec(
      value,
    );
  const [, day, time = "00:00", zone = "Z"] = found ?? [];
  const offset =
    zone === "Z" ? zone : `${zone.slice(0, 3)}:${zone.slice(3).replace(":", "") || "00"}`;
  const date = new Date(found ? `${day}T${time}${offset}` : Number.NaN);
  if (!Number.isNaN(date.getTime())) return date;
  throw new ValueError(
    `${shown(value)} is not a timestamp`,
    "Write it as ISO 8601: 2026-02-22T10:00:00Z.",
  );
}

function split(text: string, separator: string, limit: number, work: Work): Value {
  work.charge(text.length);
  const parts = text.split(separator);
  if (limit < 0 || parts.length <= limit) return List.of(parts);
  if (limit === 0) return List.of([]);
  return List.of([...parts.slice(0, limit - 1), parts.slice(limit - 1).join(separator)]);
}

function join(list: List, separator: string, work: Work): string {
  work.charge(list.size);
  const parts = Array.from(list, toText);
  work.text(parts.reduce((length, part) => length + part.length + separator.length, 0));
  return parts.join(separator);
}

function substring(text: string, from: bigint, to: bigint): string {
  const size = BigInt(text.length);
  if (from < 0n || from > to || to > size) {
    throw new ValueError(
      `substring(${from}, ${to}) is outside a text of ${size} characters`,
      "Test size(text) first.",
    );
  }
  return text.slice(Number(from), Number(to));
}

function replace(text: string, from: string, to: string, work: Work): string {
  work.charge(text.length);
  const pieces = text.split(from);
  work.text(text.length + (pieces.length - 1) * to.length);
  return pieces.join(to);
}

const MAX_PATTERNS = 100;
const patterns = new Map<string, Regex>();

/** The compiled pattern; remembered. @throws ValueError */
export function regex(pattern: string): Regex {
  let compiled = patterns.get(pattern);
  if (compiled) return compiled;
  try {
    compiled = new Regex(pattern);
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    throw new ValueError(
      `the pattern ${shown(pattern)} is refused: ${error.message}`,
      "Use startsWith, endsWith or contains, or match in SQL.",
    );
  }
  if (patterns.size >= MAX_PATTERNS) patterns.delete(patterns.keys().next().value!);
  patterns.set(pattern, compiled);
  return compiled;
}

const size = (length: number): bigint => BigInt(length);
const sizes: Overload[] = [
  { params: ["string"], returns: INT, run: ([text]) => size([...text].length) },
  { params: ["list"], returns: INT, run: ([list]) => size(list.size) },
  { params: ["map"], returns: INT, run: ([map]) => size((map as Dict).keys().length) },
];
const asMethod = ({ params, ...rest }: Overload): Overload => ({
  ...rest,
  receiver: params[0]!,
  params: params.slice(1),
});
const method = (
  receiver: Kind,
  params: Kind[],
  returns: Overload["returns"],
  run: Overload["run"],
): Overload => ({
  receiver,
  params,
  returns,
  run,
});
const fn = (params: Kind[], returns: Overload["returns"], run: Overload["run"]): Overload => ({
  params,
  returns,
  run,
});
const part = (read: (date: Date) => number): Overload[] => [
  method("timestamp", [], INT, ([date]) => BigInt(read(date))),
];

const extremes = (name: string, sign: 1 | -1): Overload[] => [
  fn(["list"], itemOf, ([list], work) => (work.charge(list.size), extreme(name, sign, list))),
  fn(
    ["number", "number"],
    ([a, b]) => (a?.type === "integer" && b?.type === "integer" ? INT : NUMBER),
    (both) => extreme(name, sign, both),
  ),
];

export const FUNCTIONS: Record<string, Overload[]> = {
  __proto__: null as never,
  size: [...sizes, ...sizes.map(asMethod)],
  int: [fn(["any"], INT, ([value]) => toInt(value))],
  double: [fn(["any"], NUMBER, ([value]) => toDouble(value))],
  string: [fn(["any"], STRING, ([value]) => toText(value))],
  dyn: [fn(["any"], {}, ([value]) => value)],
  bytes: [fn(["string"], INT, ([text]) => BigInt(parseBytes(text)))],
  lsn: [fn(["string"], INT, ([text]) => parseLsn(text))],
  duration_ms: [fn(["string"], NUMBER, ([text]) => wholeOrDouble(parseDuration(text)))],
  duration: [fn(["string"], DURATION, ([text]) => new Duration(parseDuration(text)))],
  timestamp: [fn(["string"], TIMESTAMP, ([text]) => timestamp(text))],
  sum: [
    fn(
      ["list"],
      ([list]) => (list?.items?.type === "integer" ? INT : NUMBER),
      (args, work) => sum(args as [List], work),
    ),
  ],
  min: extremes("min", 1),
  max: extremes("max", -1),
  round: [
    fn(["number"], INT, ([value]) => roundToInt(value)),
    fn(["number", "int"], NUMBER, ([value, digits]) => round(value, digits)),
  ],
  startsWith: [method("string", ["string"], BOOL, ([text, start]) => text.startsWith(start))],
  endsWith: [method("string", ["string"], BOOL, ([text, end]) => text.endsWith(end))],
  contains: [
    method(
      "string",
      ["string"],
      BOOL,
      ([text, inner], work) => (work.charge(text.length >> 4), text.includes(inner)),
    ),
  ],
  matches: [
    method("string", ["string"], BOOL, ([text, pattern], work) => regex(pattern).test(text, work)),
  ],
  lower: [method("string", [], STRING, ([text]) => text.toLowerCase())],
  upper: [method("string", [], STRING, ([text]) => text.toUpperCase())],
  lowerAscii: [method("string", [], STRING, ([text]) => text.toLowerCase())],
  upperAscii: [method("string", [], STRING, ([text]) => text.toUpperCase())],
  trim: [method("string", [], STRING, ([text]) => text.trim())],
  indexOf: [method("string", ["string"], INT, ([text, inner]) => BigInt(text.indexOf(inner)))],
  lastIndexOf: [
    method("string", ["string"], INT, ([text, inner]) => BigInt(text.lastIndexOf(inner))),
  ],
  substring: [
    method("string", ["int"], STRING, ([text, from]) => substring(text, from, BigInt(text.length))),
    method("string", ["int", "int"], STRING, ([text, from, to]) => substring(text, from, to)),
  ],
  replace: [
    method("string", ["string", "string"], STRING, ([text, from, to], work) =>
      replace(text, from, to, work),
    ),
  ],
  split: [
    method("string", ["string"], STRINGS, ([text, separator], work) =>
      split(text, separator, -1, work),
    ),
    method("string", ["string", "int"], STRINGS, ([text, separator, n], work) =>
      split(text, separator, Number(n), work),
    ),
  ],
  join: [
    method("list", [], STRING, ([list], work) => join(list, "", work)),
    method("list", ["string"], STRING, ([list, separator], work) => join(list, separator, work)),
  ],
  getFullYear: part((date) => date.getUTCFullYear()),
  getMonth: part((date) => date.getUTCMonth()),
  getDate: part((date) => date.getUTCDate()),
  getDayOfWeek: part((date) => date.getUTCDay()),
  getHours: part((date) => date.getUTCHours()),
  getMinutes: part((date) => date.getUTCMinutes()),
  getSeconds: part((date) => date.getUTCSeconds()),
};

const wholeOrDouble = (ms: number): bigint | number => (Number.isSafeInteger(ms) ? BigInt(ms) : ms);

export function fits(value: Value, kind: Kind): boolean {
  if (kind === "any") return true;
  return kind === "number" ? isNumber(value) : typeName(value) === kind;
}

/** The overload of `name` for these values; `hasReceiver` says that the first one is the receiver. */
export function findOverload(
  name: string,
  args: Value[],
  hasReceiver: boolean,
): Overload | undefined {
  return FUNCTIONS[name]?.find((overload) => {
    const kinds = kindsOf(overload);
    return (
      (overload.receiver !== undefined) === hasReceiver &&
      kinds.length === args.length &&
      kinds.every((kind, i) => fits(args[i]!, kind))
    );
  });
}

export function kindsOf(overload: Overload): Kind[] {
  return overload.receiver === undefined
    ? overload.params
    : [overload.receiver, ...overload.params];
}

/** How a function is called, for messages: `bytes(string)`, `string.matches(string)`. */
export function signatures(name: string): string {
  const all = (FUNCTIONS[name] ?? []).map(
    ({ receiver, params }) =>
      `${receiver === undefined ? "" : `${receiver}.`}${name}(${params.join(", ")})`,
  );
  return all.join(" or ");
}

/** Runs it. @throws ValueError also for what units.ts refuses */
export function runOverload(overload: Overload, args: Value[], work: Work): Value {
  try {
    return overload.run(args, work);
  } catch (error) {
    if (error instanceof PgdbaError && error.code === "invalid_param")
      throw new ValueError(error.message, error.hint);
    throw error;
  }
}
