import type { JsonSchema } from "../types.ts";

/** The schema of what may stand in a fixture: all that the type gives, or a part of it; null when it did not run. */
export function relaxed(schema: JsonSchema): JsonSchema {
  const known = relaxedSchemas.get(schema);
  if (known) return known;
  const { required: _, minItems: __, minProperties: ___, ...rest } = schema;
  const out: JsonSchema = { ...rest };
  if (schema.type !== undefined) out.type = [...new Set([schema.type, "null"].flat())];
  if (schema.items) out.items = relaxed(schema.items);
  if (schema.properties)
    out.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([key, inner]) => [key, relaxed(inner)]),
    );
  for (const key of ["anyOf", "oneOf", "allOf"] as const)
    if (schema[key]) out[key] = schema[key].map(relaxed);
  relaxedSchemas.set(schema, out);
  return out;
}

const relaxedSchemas = new WeakMap<JsonSchema, JsonSchema>();
