import type { Json, JsonObject, JsonSchema, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

const NAME = /^[a-z][a-z0-9_]*$/;

export default defineStep({
  type: "set",
  pure: true,
  summary: "Name values for later steps",
  docs: `Each entry is a CEL expression, and later steps read \`steps.<id>.output.<name>\`. A number, a boolean or
null stands for itself; a literal text is written as CEL: \`"'text'"\`.

The entries are evaluated side by side: one can't use another of the same \`set\`.`,
  example: `- id: limits
  set:
    max_bytes: bytes('16MB') * 2
    label: "'nightly'"
    attempts: 3
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    minProperties: 1,
    additionalProperties: { type: ["string", "number", "boolean", "null"], "x-lang": "cel" },
  },
  output: { type: "object" },
  outputFor(input: Json): JsonSchema {
    const entries = Object.entries(input as JsonObject);
    return {
      type: "object",
      properties: Object.fromEntries(entries.map(([name, value]) => [name, schemaOf(value)])),
      required: entries.map(([name]) => name),
      additionalProperties: false,
    };
  },
  lint(input: Json) {
    return Object.keys(input as JsonObject)
      .filter((name) => !NAME.test(name))
      .map((name) => ({
        path: [name],
        rule: "set-name",
        message: `\`${name}\` can't be read as steps.<id>.output.${name}`,
        hint: "Use lower-case letters, digits and _, a letter first.",
      }));
  },
  async run(ctx: StepContext, input: JsonObject): Promise<JsonObject> {
    return Object.fromEntries(
      Object.entries(input).map(([name, value]) => [
        name,
        typeof value === "string" ? ctx.evaluate(value) : value,
      ]),
    );
  },
});

/** An expression's type is for the checker to infer; a literal's is known. */
function schemaOf(value: Json): JsonSchema {
  if (typeof value === "number") return { type: Number.isInteger(value) ? "integer" : "number" };
  if (typeof value === "boolean") return { type: "boolean" };
  return value === null ? { type: "null" } : {};
}
