import type { DocPath, Json, JsonSchema, Variables } from "../types.ts";
import { evaluate } from "./cel.ts";
import { celOf, classify, descend, langOf } from "./languages.ts";
import { renderText } from "./template/render.ts";

/**
 * Renders the strings of an input, keeping the type that `${...}` gives. Strings whose schema has `x-lang` are handed on
 * as written, keys always are. `onText` is called with the path of each text that was rendered.
 * @throws PgdbaError expression_failed · limit_exceeded · UnknownValue
 */
export function renderInput(
  input: Json,
  schema: JsonSchema,
  vars: Variables,
  onText?: (path: DocPath) => void,
): Json {
  const renderAt = (value: Json, schemas: JsonSchema[], path: DocPath): Json => {
    if (typeof value === "string") {
      if (langOf(schemas) !== undefined) return value;
      try {
        return renderString(value, vars);
      } finally {
        onText?.(path);
      }
    }
    if (Array.isArray(value))
      return value.map((item, i) => renderAt(item, descend(schemas, i), [...path, i]));
    if (typeof value !== "object" || value === null) return value;
    const rendered: { [key: string]: Json } = Object.create(null);
    for (const [key, item] of Object.entries(value))
      rendered[key] = renderAt(item, descend(schemas, key), [...path, key]);
    return rendered;
  };
  return renderAt(input, [schema], []);
}

function renderString(text: string, vars: Variables): Json {
  const kind = classify(text);
  if (kind === "cel") return evaluate(celOf(text).source, vars);
  return kind === "text" ? renderText(text, vars) : text;
}
