import type { Json, JsonSchema } from "../types.ts";

/** JSON Schemas as types. A schema that says nothing is dynamic: nothing is held against it. */
export const DYNAMIC: JsonSchema = {};
export const STRING: JsonSchema = { type: "string" };
export const BOOL: JsonSchema = { type: "boolean" };
export const INT: JsonSchema = { type: "integer" };
export const NUMBER: JsonSchema = { type: "number" };
/** Types of CEL that JSON lacks; `publish` says what they become. */
export const UINT: JsonSchema = { type: "uint" };
export const BYTES: JsonSchema = { type: "bytes" };
export const TYPE: JsonSchema = { type: "type" };
export const TIMESTAMP: JsonSchema = { type: "timestamp" };
export const DURATION: JsonSchema = { type: "duration" };

/** The root variables of an expression. A schema with `additionalProperties: false` is closed; any other is open. */
export type Scope = Record<string, JsonSchema>;

const branches = (schema: JsonSchema): JsonSchema[] =>
  [schema.anyOf, schema.oneOf, schema.allOf].flatMap((list) => list ?? []);

const typeOfJson = (value: Json): string => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" && Number.isInteger(value) ? "integer" : typeof value;
};

/** The types a value may have; undefined when any. */
function typesOf(schema: JsonSchema): Set<string> | undefined {
  if (schema.type !== undefined) return new Set([schema.type].flat());
  if (schema.const !== undefined) return new Set([typeOfJson(schema.const)]);
  if (schema.enum) return new Set(schema.enum.map(typeOfJson));
  if (schema.allOf && !schema.anyOf && !schema.oneOf)
    return schema.allOf.map(typesOf).find((types) => types !== undefined);
  const parts = branches(schema);
  if (parts.length > 0) {
    const all = parts.map(typesOf);
    return all.includes(undefined) ? undefined : new Set(all.flatMap((types) => [...types!]));
  }
  if (schema.properties) return new Set(["object"]);
  return schema.items ? new Set(["array"]) : undefined;
}

/** The types but `null`, or undefined when any. */
export function solidTypes(schema: JsonSchema): Set<string> | undefined {
  const types = typesOf(schema);
  types?.delete("null");
  return types;
}

/** True when a value of the schema may be of one of `wanted`; `number` and `integer` stand for each other. */
export function mayBe(schema: JsonSchema, ...wanted: string[]): boolean {
  const types = typesOf(schema);
  const numeric = wanted.includes("number") || wanted.includes("integer");
  return (
    !types ||
    [...types].some(
      (type) => wanted.includes(type) || (numeric && (type === "integer" || type === "number")),
    )
  );
}

/** True when some value fits both. */
export function overlap(a: JsonSchema, b: JsonSchema): boolean {
  const types = typesOf(b);
  return !types || mayBe(a, ...types);
}

/** True when values of both may be equal: numbers of all types are compared by value. */
export const comparable = (a: JsonSchema, b: JsonSchema): boolean =>
  overlap(a, b) || overlap(b, a) || (mayBe(a, "number", "uint") && mayBe(b, "number", "uint"));

const CEL_NAMES: Record<string, string> = {
  boolean: "bool",
  integer: "int",
  number: "number",
  array: "list",
  object: "map",
};

export function describe(schema: JsonSchema): string {
  return [...(typesOf(schema) ?? ["any"])].map((type) => CEL_NAMES[type] ?? type).join(" or ");
}

export type Member =
  | { schema: JsonSchema }
  | { missing: "not-a-map" }
  | { missing: "unknown"; keys: string[] };

/** The schema under `key`. A key is unknown only where every branch that is a map is closed and lacks it. */
export function memberOf(schema: JsonSchema, key: string): Member {
  const parts = branches(schema);
  if (!mayBe(schema, "object")) return { missing: "not-a-map" };
  const own = ownMember(schema, key, parts.length > 0);
  if (own) return { schema: own };
  const found = parts.filter((part) => mayBe(part, "object")).map((part) => memberOf(part, key));
  const known = found.flatMap((member) => ("schema" in member ? [member.schema] : []));
  if (known.length > 0) return { schema: union(known) };
  const keys = found.flatMap((member) => ("keys" in member ? member.keys : []));
  return { missing: "unknown", keys: [...Object.keys(schema.properties ?? {}), ...keys] };
}

function ownMember(schema: JsonSchema, key: string, hasBranches: boolean): JsonSchema | undefined {
  if (schema.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key];
  if (typeof schema.additionalProperties === "object") return schema.additionalProperties;
  const isOpen = schema.additionalProperties !== false && !hasBranches;
  return isOpen ? DYNAMIC : undefined;
}

/** A map whose keys are not all text; only expressions make such. */
type KeyedMap = JsonSchema & { keys?: JsonSchema };

export const mapOf = (keys: JsonSchema, values: JsonSchema): JsonSchema => {
  const schema: KeyedMap = { type: "object", keys, additionalProperties: values };
  return schema;
};

/** The schema of the keys of a map. */
export const keysOf = (schema: KeyedMap): JsonSchema => schema.keys ?? STRING;

/** The schema of the items of a list, or of the keys of a map. */
export function elementOf(schema: JsonSchema): JsonSchema {
  const types = solidTypes(schema);
  if (!types) return schema.items ?? DYNAMIC;
  if (!types.has("array")) return keysOf(schema);
  if (types.has("object")) return DYNAMIC;
  const items = [schema, ...branches(schema)].flatMap((part) => (part.items ? [part.items] : []));
  return items.length > 0 ? union(items) : DYNAMIC;
}

/** The schema that takes every value that fits one of them. */
export function union(schemas: JsonSchema[]): JsonSchema {
  const distinct = [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
  return distinct.length === 1 ? distinct[0]! : { anyOf: distinct };
}

const AS_JSON: Record<string, JsonSchema> = {
  __proto__: null as never,
  timestamp: { type: "string", format: "date-time" },
  duration: NUMBER,
  bytes: STRING,
  type: STRING,
  uint: INT,
};

/** The schema of the value as JSON: a timestamp is text by then, a duration a number of milliseconds. */
export function publish(schema: JsonSchema): JsonSchema {
  if (Array.isArray(schema.type))
    return union(schema.type.map((type: string) => publish({ type })));
  const json = typeof schema.type === "string" ? AS_JSON[schema.type] : undefined;
  if (json) return json;
  const { keys: _, ...rest } = schema as KeyedMap;
  return {
    ...rest,
    ...(schema.items ? { items: publish(schema.items) } : {}),
    ...(typeof schema.additionalProperties === "object"
      ? { additionalProperties: publish(schema.additionalProperties) }
      : {}),
    ...(schema.anyOf ? { anyOf: schema.anyOf.map(publish) } : {}),
    ...(schema.properties
      ? {
          properties: Object.fromEntries(
            Object.entries(schema.properties).map(([key, value]) => [key, publish(value)]),
          ),
        }
      : {}),
  };
}
