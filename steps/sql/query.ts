import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { milliseconds, session } from "./session.ts";

export default defineStep({
  type: "sql.query",
  summary:
    "Ask the server something: one statement in a read-only transaction that is rolled back.",
  docs: `The text of the statement is fixed; values go in through \`$1\`, \`$2\`, … and \`values\`. Rows come as objects by column name:
\`int8\` and \`numeric\` as numbers where that is exact and as text otherwise, times as ISO 8601, \`bytea\` as base64, \`json\` as it is.

A read-only transaction keeps tables as they are; it does not keep functions such as \`pg_terminate_backend\` from acting. Connect as a
role that may not call them where that matters. Use \`sql.execute\` for what changes something.`,
  example: `- sql.query:
    sql: SELECT datname, pg_database_size(oid) AS bytes FROM pg_database WHERE datname = $1
    values: [postgres]
    one_row: true
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["sql"],
    properties: {
      sql: { type: "string", minLength: 1, "x-lang": "static", description: "One SQL statement." },
      values: {
        type: "array",
        items: {},
        description: "Values of $1, $2, …; a list is a PostgreSQL array, a mapping is JSON.",
      },
      database: {
        type: "string",
        minLength: 1,
        description: "Another database of the same server.",
      },
      timeout: {
        type: "string",
        format: "duration",
        description: "The server cancels the statement after this long.",
      },
      max_rows: {
        type: "integer",
        minimum: 1,
        maximum: 100_000,
        default: 10_000,
        description: "Rows kept; more are reported as truncated.",
      },
      one_row: {
        type: "boolean",
        default: false,
        description: "Fail unless there is exactly one row.",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["rows", "row_count", "fields", "truncated"],
    properties: {
      rows: { type: "array", items: { type: "object" } },
      row_count: { type: "integer" },
      fields: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "type"],
          properties: { name: { type: "string" }, type: { type: "string" } },
        },
      },
      truncated: { type: "boolean" },
    },
  },
  async run(ctx, input) {
    const pg = await session(ctx, input.database);
    const options = { readOnly: true, timeoutMs: milliseconds(input.timeout), signal: ctx.signal };
    const result = await pg.transaction(options, (run) =>
      run(input.sql, input.values ?? [], { maxRows: input.max_rows }),
    );
    if (input.one_row === true && (result.rows.length !== 1 || result.truncated)) {
      throw new PgdbaError(
        "step_failed",
        `Expected one row, got ${result.truncated ? "more" : result.rows.length}`,
        {
          hint: "Make the query select exactly one row, or leave one_row out.",
        },
      );
    }
    const { rows, row_count, truncated } = result;
    return {
      rows,
      row_count,
      fields: result.fields.map((field): JsonObject => ({ ...field })),
      truncated,
    };
  },
});
