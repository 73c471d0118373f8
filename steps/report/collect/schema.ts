import type { JsonSchema } from "../../../engine/types.ts";

/** A mapping with exactly these keys. */
export function object<const P extends Record<string, JsonSchema>>(properties: P) {
  return {
    type: "object",
    additionalProperties: false,
    required: Object.keys(properties) as (keyof P & string)[],
    properties,
  } as const;
}

export function list<const I extends JsonSchema>(items: I) {
  return { type: "array", items } as const;
}

export const TEXT = { type: "string" } as const;
export const MAYBE_TEXT = { type: ["string", "null"] } as const;
export const COUNT = { type: "integer" } as const;
export const MAYBE_COUNT = { type: ["integer", "null"] } as const;
export const NUMBER = { type: "number" } as const;
export const MAYBE_NUMBER = { type: ["number", "null"] } as const;
export const FLAG = { type: "boolean" } as const;

/** `object`, or null when the server has no such thing or does not show it. */
export function maybe<const P extends Record<string, JsonSchema>>(properties: P) {
  return { anyOf: [object(properties), { type: "null" }] } as const;
}
