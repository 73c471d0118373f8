import type { JsonSchema } from "../types.ts";
import { extreme, sum } from "./functions/aggregate.ts";
import {
  round,
  roundToInt,
  timestamp,
  toDouble,
  toInt,
  toText,
  wholeOrDouble,
} from "./functions/convert.ts";
import { fn, method, type Overload, takes } from "./functions/overload.ts";
import { join, regex, replace, split, substring } from "./functions/text.ts";
import { BOOL, DURATION, DYNAMIC, INT, NUMBER, STRING, TIMESTAMP } from "./schema-types.ts";
import { parseBytes, parseDuration, parseLsn } from "./units.ts";
import { Duration, type Value } from "./values.ts";

const STRINGS: JsonSchema = { type: "array", items: STRING };

const sizes: Overload[] = [
  fn(["string"], INT, ([text]) => BigInt([...text].length)),
  fn(["list"], INT, ([list]) => BigInt(list.size)),
  fn(["map"], INT, ([map]) => BigInt(map.keys().length)),
];
const asMethod = ({ params, ...rest }: Overload): Overload => ({
  ...rest,
  receiver: params[0]!,
  params: params.slice(1),
});
/** A part of a point in time, in UTC. */
const part = (read: (date: Date) => number): Overload[] => [
  method("timestamp", [], INT, ([date]) => BigInt(read(date))),
];

const extremes = (name: string, sign: 1 | -1): Overload[] => [
  fn(
    ["list"],
    ([list]) => list?.items ?? DYNAMIC,
    ([list], work) => (work.charge(list.size), extreme(name, sign, list)),
  ),
  fn(
    ["number", "number"],
    ([a, b]) => (a?.type === "integer" && b?.type === "integer" ? INT : NUMBER),
    (both) => extreme(name, sign, both),
  ),
];

/** All functions and methods by name. */
export const FUNCTIONS: Record<string, Overload[]> = {
  __proto__: null as never,
  size: [...sizes, ...sizes.map(asMethod)],
  int: [fn(["any"], INT, ([value]) => toInt(value))],
  double: [fn(["any"], NUMBER, ([value]) => toDouble(value))],
  string: [fn(["any"], STRING, ([value]) => toText(value))],
  dyn: [fn(["any"], DYNAMIC, ([value]) => value)],
  bytes: [fn(["string"], INT, ([text]) => BigInt(parseBytes(text)))],
  lsn: [fn(["string"], INT, ([text]) => parseLsn(text))],
  duration_ms: [fn(["string"], NUMBER, ([text]) => wholeOrDouble(parseDuration(text)))],
  duration: [fn(["string"], DURATION, ([text]) => new Duration(parseDuration(text)))],
  timestamp: [fn(["string"], TIMESTAMP, ([text]) => timestamp(text))],
  sum: [
    fn(
      ["list"],
      ([list]) => (list?.items?.type === "integer" ? INT : NUMBER),
      ([list], work) => sum(list, work),
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

/** The overload of `name` for these values; `hasReceiver` says that the first one is the receiver. */
export const findOverload = (
  name: string,
  args: Value[],
  hasReceiver: boolean,
): Overload | undefined => FUNCTIONS[name]?.find((overload) => takes(overload, args, hasReceiver));

/** How a function is called, for messages: `bytes(string)`, `string.matches(string)`. */
export function signatures(name: string): string {
  const all = (FUNCTIONS[name] ?? []).map(
    ({ receiver, params }) =>
      `${receiver === undefined ? "" : `${receiver}.`}${name}(${params.join(", ")})`,
  );
  return all.join(" or ");
}
