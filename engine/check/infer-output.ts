import { isMapping } from "../json.ts";
import type { Scope } from "../expr/infer.ts";
import type { DocPath, Json, JsonSchema } from "../types.ts";
import type { ExpressionChecker } from "./expressions.ts";
import { literalSchema } from "./scope.ts";

/** Checks the expressions under an `output:`, however deep they stand. @returns the schema of what they yield */
export async function inferOutput(
  expressions: ExpressionChecker,
  value: Json,
  path: DocPath,
  scope: Scope,
  expected?: JsonSchema,
): Promise<JsonSchema> {
  if (typeof value === "string") return expressions.cel(path, value, scope, expected);
  if (!isMapping(value)) return literalSchema(value);
  const properties: Record<string, JsonSchema> = Object.create(null);
  for (const [key, item] of Object.entries(value)) {
    const below = expected?.properties?.[key];
    properties[key] = await inferOutput(expressions, item, [...path, key], scope, below);
  }
  return {
    type: "object",
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}
