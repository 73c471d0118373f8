import { isMapping, type Json, type JsonObject } from "../../../engine/types.ts";

export function* nodesIn(value: Json): Generator<JsonObject> {
  if (Array.isArray(value)) for (const item of value) yield* nodesIn(item);
  if (!isMapping(value)) return;
  if (value["Node Type"] !== undefined) yield value;
  for (const child of Object.values(value)) yield* nodesIn(child);
}

export function* stringsIn(value: Json): Generator<string> {
  if (typeof value === "string") yield value;
  else if (Array.isArray(value)) for (const item of value) yield* stringsIn(item);
  else if (isMapping(value)) for (const child of Object.values(value)) yield* stringsIn(child);
}

export interface Relation {
  schema: string;
  name: string;
}

export function relationOf(node: JsonObject): Relation[] {
  const { Schema: schema, "Relation Name": name } = node;
  return typeof name === "string" ? [{ schema: String(schema), name }] : [];
}

/** The tables that a ModifyTable changes. */
export function targetsOf(node: JsonObject): Relation[] {
  const others = Array.isArray(node["Target Tables"])
    ? node["Target Tables"].filter(isMapping)
    : [];
  return [node, ...others].flatMap(relationOf);
}
