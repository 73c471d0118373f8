import type { Json, JsonSchema, Variables } from "../types.ts";
import { evaluate } from "./cel.ts";
import { celOf, classify, descend, langOf } from "./languages.ts";
import { renderText } from "./template/render.ts";

/**
 * Renders the strings of an input, keeping the type that `${...}` gives. Strings whose schema has `x-lang` are handed on
 * as written, keys always are.
 * @throws PgdbaError expression_failed · limit_exceeded · UnknownValue
 */
export function renderInput(input: Json, schema: JsonSchema, vars: Variables): Json {
  return renderAt(input, [schema], vars);
}

function renderAt(value: Json, schemas: JsonSchema[], vars: Variables): Json {
  if (typeof value === "string")
    return langOf(schemas) === undefined ? renderString(value, vars) : value;
  if (Array.isArray(value))
    return value.map((item, i) => renderAt(item, descend(schemas, i), vars));
  if (typeof value !== "object" || value === null) return value;
  const rendered: { [key: string]: Json } = Object.create(null);
  for (const [key, item] of Object.entries(value))
    rendered[key] = renderAt(item, descend(schemas, key), vars);
  return rendered;
}

function renderString(text: string, vars: Variables): Json {
  const kind = classify(text);
  if (kind === "cel") return evaluate(celOf(text).source, vars);
  return kind === "text" ? renderText(text, vars) : text;
}
