import type { JsonObject, JsonSchema } from "../../engine/types.ts";
import type { QueryResult } from "../../providers/postgres/session.ts";

/** What a question to the server gives. */
export const ANSWER = {
  type: "object",
  additionalProperties: false,
  required: ["rows", "row_count", "fields", "truncated"],
  properties: {
    rows: { type: "array", items: { type: "object" } },
    row_count: { type: "integer" },
    fields: {
      type: "array",
      "x-names": true,
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "type"],
        properties: { name: { type: "string" }, type: { type: "string" } },
      },
    },
    truncated: { type: "boolean" },
  },
} as const satisfies JsonSchema;

export const answerOf = ({ rows, row_count, fields, truncated }: QueryResult) => ({
  rows,
  row_count,
  fields: fields.map((field): JsonObject => ({ ...field })),
  truncated,
});
