import { isMapping } from "../json.ts";
import type { Json, JsonObject, JsonSchema, ParamSpec, StepStatus } from "../types.ts";

/** Names that expressions start from; a loop variable can't take one of them. */
export const ROOTS = [
  "params",
  "steps",
  "target",
  "run",
  "index",
  "error",
  "output",
  "attempt",
] as const;

export const STATUSES: StepStatus[] = [
  "ok",
  "skipped",
  "failed",
  "cancelled",
  "recovered",
  "unknown",
  "previewed",
  "not_previewable",
  "undetermined",
];

/** A mapping that has these keys and no others. */
export function closed(properties: Record<string, JsonSchema>): JsonSchema {
  return { type: "object", properties, additionalProperties: false };
}

/** The schema of `error` in `rescue`, `retry.on` and `steps.<id>.error`; mirrors `ErrorRecord`. */
export const ERROR_SCHEMA: JsonSchema = closed({
  code: { type: "string" },
  message: { type: "string" },
  step: { type: ["string", "null"] },
  where: { type: ["object", "null"] },
  hint: { type: ["string", "null"] },
  retryable: { type: "boolean" },
  data: {},
});

/** `steps.<id>`; mirrors `StepResult`. */
export function resultSchema(output: JsonSchema): JsonSchema {
  return closed({
    status: { type: "string", enum: STATUSES },
    changed: { type: "boolean" },
    attempts: { type: "integer" },
    started_at: { type: "string" },
    duration_ms: { type: "number" },
    output,
    error: { ...ERROR_SCHEMA, type: ["object", "null"] },
  });
}

/** `target`: what every target has; its facts come on top, so it is open. */
export const TARGET_SCHEMA: JsonSchema = {
  type: "object",
  properties: {
    name: { type: "string" },
    cluster: { type: ["string", "null"] },
    flags: { type: "string" },
    labels: { type: "array", items: { type: "string" } },
    ownership: { type: "string", enum: ["managed", "connected", "none"] },
    capabilities: { type: "array", items: { type: "string" } },
    identity: { type: ["string", "null"] },
    state: { type: "string", enum: ["none", "absent", "partial", "unreachable", "down", "up"] },
    can: { type: "object", additionalProperties: { type: "boolean" } },
  },
};

export const RUN_SCHEMA: JsonSchema = closed({
  id: { type: "string" },
  started_at: { type: "string" },
});

const OWN = ["required", "secret", "positional", "target", "runbook", "confirms"];

/** The JSON Schema of one parameter's value: its spec without the keys that are pgdba's own. */
export function valueSchema(spec: ParamSpec): JsonSchema {
  const schema = Object.fromEntries(Object.entries(spec).filter(([key]) => !OWN.includes(key)));
  return spec.secret === true ? { ...schema, "x-secret": true } : schema;
}

/** `params`, closed. A parameter that may be left out and has no default is null then. */
export function paramsScope(params: Record<string, ParamSpec>): JsonSchema {
  const properties: Record<string, JsonSchema> = Object.create(null);
  for (const [name, spec] of Object.entries(params)) {
    const schema = valueSchema(spec);
    const always = spec.required === true || spec.default !== undefined;
    properties[name] =
      always || schema.type === undefined
        ? schema
        : { ...schema, type: [...new Set([schema.type, "null"].flat())] };
  }
  return closed(properties);
}

/** The schema that a literal value suggests; for a list, of the items when they are all alike. */
export function literalSchema(value: Json): JsonSchema {
  if (value === null) return { type: "null" };
  if (Array.isArray(value)) {
    const items = value.map(literalSchema);
    const alike = items.every((item) => JSON.stringify(item) === JSON.stringify(items[0]));
    return { type: "array", items: alike ? (items[0] ?? {}) : {} };
  }
  if (isMapping(value)) {
    const properties: Record<string, JsonSchema> = Object.create(null);
    for (const [key, item] of Object.entries(value)) properties[key] = literalSchema(item);
    return closed(properties);
  }
  return { type: Number.isInteger(value) ? "integer" : typeof value };
}

/** The part of `schema` that describes the value at `path`, as far as it says; choices are searched in order. */
export function schemaAt(
  schema: JsonSchema,
  path: readonly (string | number)[],
): JsonSchema | undefined {
  if (path.length === 0) return schema;
  for (const branch of [
    ...(schema.anyOf ?? []),
    ...(schema.oneOf ?? []),
    ...(schema.allOf ?? []),
  ]) {
    const found = schemaAt(branch, path);
    if (found !== undefined) return found;
  }
  const [head, ...rest] = path;
  if (typeof head === "number") return schema.items && schemaAt(schema.items, rest);
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, head!))
    return schemaAt(schema.properties[head!]!, rest);
  return isMapping(schema.additionalProperties)
    ? schemaAt(schema.additionalProperties, rest)
    : undefined;
}

/** Every text in `value`, with its path. */
export function* texts(
  value: Json,
  path: readonly (string | number)[] = [],
): Generator<{ path: readonly (string | number)[]; text: string }> {
  if (typeof value === "string") yield { path, text: value };
  else if (Array.isArray(value))
    for (const [i, item] of value.entries()) yield* texts(item, [...path, i]);
  else if (isMapping(value))
    for (const [key, item] of Object.entries(value as JsonObject))
      yield* texts(item, [...path, key]);
}
