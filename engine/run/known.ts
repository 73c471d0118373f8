import { assertKnown, UnknownValue } from "../expr/unknown.ts";
import type { Json } from "../types.ts";
import { mayLack, type RunState } from "./state.ts";

/** `value` with null for what is not known in it: what a plan can print and keep. */
function knownPart(value: Json): Json {
  if (value === null || typeof value !== "object") return value;
  try {
    assertKnown(value);
  } catch (thrown) {
    if (thrown instanceof UnknownValue) return null;
    throw thrown;
  }
  if (Array.isArray(value)) return value.map(knownPart);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, knownPart(item)]));
}

/** The same where something may be unknown at all. */
export function knownIn(state: RunState, value: Json): Json {
  return mayLack(state) ? knownPart(value) : value;
}
