import { PgdbaError } from "../../errors.ts";
import type { JsonSchema } from "../../types.ts";
import { ValueError } from "../operators.ts";
import { typeName, type Value } from "../values.ts";
import type { Work } from "../work.ts";

/** A type of an argument; `number` is int or double, `|` joins several, `any` is all. */
export type Kind =
  | "any"
  | "string"
  | "bool"
  | "int"
  | "uint"
  | "double"
  | "number"
  | "list"
  | "map"
  | "timestamp"
  | "duration"
  | "bytes"
  | "type";

/** A function or method. Evaluation and the static check both read this table, so they can't disagree. */
export interface Overload {
  receiver?: Kind;
  params: Kind[];
  /** The schema of its result; a function of the argument's schemas (receiver first) where they tell more. */
  returns: JsonSchema | ((args: JsonSchema[]) => JsonSchema);
  run(args: any[], work: Work): Value;
}

export const fn = (
  params: Kind[],
  returns: Overload["returns"],
  run: Overload["run"],
): Overload => ({ params, returns, run });

export const method = (
  receiver: Kind,
  params: Kind[],
  returns: Overload["returns"],
  run: Overload["run"],
): Overload => ({ receiver, params, returns, run });

export function kindsOf(overload: Overload): Kind[] {
  return overload.receiver === undefined
    ? overload.params
    : [overload.receiver, ...overload.params];
}

/** True when it may be called with these values; `hasReceiver` says that the first one is the receiver. */
export function takes(overload: Overload, args: Value[], hasReceiver: boolean): boolean {
  const kinds = kindsOf(overload);
  return (
    (overload.receiver !== undefined) === hasReceiver &&
    kinds.length === args.length &&
    kinds.every((kind, i) => fits(args[i]!, kind))
  );
}

function fits(value: Value, kind: Kind): boolean {
  if (kind === "any") return true;
  if (kind === "number") return typeof value === "bigint" || typeof value === "number";
  return typeName(value) === kind;
}

/** Runs it, and charges for the texts and bytes it reads. @throws ValueError also for what units.ts refuses */
export function runOverload(overload: Overload, args: Value[], work: Work): Value {
  for (const arg of args)
    if (typeof arg === "string" || arg instanceof Uint8Array) work.charge(arg.length >> 6);
  try {
    return overload.run(args, work);
  } catch (error) {
    if (error instanceof PgdbaError && error.code === "invalid_param")
      throw new ValueError(error.message, error.hint);
    throw error;
  }
}
