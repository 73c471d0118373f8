import type { JsonSchema } from "../types.ts";
import { extreme, sum, take } from "./functions/aggregate.ts";
import {
  round,
  roundToInt,
  toBool,
  toDouble,
  toInt,
  toText,
  toUint,
  wholeOrDouble,
} from "./functions/convert.ts";
import { fn, type Kind, method, type Overload, takes } from "./functions/overload.ts";
import { size } from "./functions/text.ts";
import { TEXT_FUNCTIONS } from "./functions/texts.ts";
import { TIME_FUNCTIONS } from "./functions/time.ts";
import { BOOL, BYTES, DYNAMIC, INT, NUMBER, STRING, TYPE, UINT } from "./schema-types.ts";
import { typeOf } from "./types-as-values.ts";
import { shellQuoted } from "../shared/shell-words.ts";
import { parseBytes, parseLsn } from "../shared/units.ts";
import { Duration, type Value } from "./values.ts";

/** A function of one value, which may be of any of these types. */
const of = (kinds: Kind[], returns: JsonSchema, run: (value: any) => Value): Overload[] =>
  kinds.map((kind) => fn([kind], returns, ([value]) => run(value)));

const sizes: Overload[] = [
  fn(["string"], INT, ([text]) => size(text)),
  fn(["bytes"], INT, ([bytes]) => BigInt(bytes.length)),
  fn(["list"], INT, ([list]) => BigInt(list.size)),
  fn(["map"], INT, ([map], work) => {
    const { size: keys } = map;
    work.charge(keys >> 1);
    return BigInt(keys);
  }),
];
const asMethod = ({ params, ...rest }: Overload): Overload => ({
  ...rest,
  receiver: params[0]!,
  params: params.slice(1),
});

const extremes = (name: string, sign: 1 | -1): Overload[] => [
  fn(
    ["list"],
    ([list]) => list?.items ?? DYNAMIC,
    ([list], work) => (work.charge(list.size), extreme(name, sign, list, work)),
  ),
  fn(
    ["number", "number"],
    ([a, b]) => (a?.type === "integer" && b?.type === "integer" ? INT : NUMBER),
    (both, work) => extreme(name, sign, both, work),
  ),
];

/** All functions and methods by name. */
export const FUNCTIONS: Record<string, Overload[]> = {
  __proto__: null as never,
  size: [...sizes, ...sizes.map(asMethod)],
  bool: of(["bool", "string"], BOOL, toBool),
  int: of(["int", "uint", "double", "string", "timestamp"], INT, toInt),
  uint: of(["int", "uint", "double", "string"], UINT, toUint),
  double: of(["int", "uint", "double", "string"], NUMBER, toDouble),
  string: [fn(["any"], STRING, ([value], work) => toText(value, work))],
  type: [fn(["any"], TYPE, ([value]) => typeOf(value))],
  dyn: [fn(["any"], DYNAMIC, ([value]) => value)],
  bytes: [
    fn(["string"], INT, ([text]) => BigInt(parseBytes(text))),
    fn(["bytes"], BYTES, ([bytes]) => bytes),
  ],
  shell: [fn(["string"], STRING, ([word]) => shellQuoted(word))],
  lsn: [fn(["string"], INT, ([text]) => parseLsn(text))],
  duration_ms: [fn(["string"], NUMBER, ([text]) => wholeOrDouble(Duration.parse(text).ms))],
  sum: [
    fn(
      ["list"],
      ([list]) => (list?.items?.type === "integer" ? INT : NUMBER),
      ([list], work) => sum(list, work),
    ),
  ],
  take: [
    method(
      "list",
      ["int"],
      ([list]) => list ?? DYNAMIC,
      ([list, count], work) => take(list, count, work),
    ),
  ],
  min: extremes("min", 1),
  max: extremes("max", -1),
  round: [
    fn(["number"], INT, ([value]) => roundToInt(value)),
    fn(["number", "int"], NUMBER, ([value, digits]) => round(value, digits)),
  ],
  ...TEXT_FUNCTIONS,
  ...TIME_FUNCTIONS,
};

/** The overload of `name` for these values; `hasReceiver` says that the first one is the receiver. */
export const findOverload = (
  name: string,
  args: Value[],
  hasReceiver: boolean,
): Overload | undefined => FUNCTIONS[name]?.find((overload) => takes(overload, args, hasReceiver));

/** The signatures of a function, for messages: `bytes(string)`, `string.matches(string)`. */
export function signatures(name: string): string {
  const all = (FUNCTIONS[name] ?? []).map(
    ({ receiver, params }) =>
      `${receiver === undefined ? "" : `${receiver}.`}${name}(${params.join(", ")})`,
  );
  return all.join(" or ");
}
