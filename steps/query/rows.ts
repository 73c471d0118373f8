import { readOnly } from "../../providers/postgres/guard/read.ts";
import { readReading } from "../../providers/postgres/guard/reading.ts";
import { defineStep } from "../define.ts";
import { ANSWER, answerOf } from "../sql/answer.ts";
import { milliseconds, session } from "../sql/session.ts";
import { maskedRows, refuseSecrets } from "./secret.ts";

export default defineStep({
  type: "query.rows",
  summary:
    "Ask the server with a statement that is given only when it runs, and that can do nothing but read.",
  docs: `Unlike the text of \`sql.query\`, that of this one may be a parameter, so that a person or an agent can look at what no runbook shows. It is guarded by
the same rules, all of them applied when it runs: one SELECT, VALUES, TABLE, SHOW or EXPLAIN without ANALYZE, in a read-only transaction that is rolled back, and nothing that it
calls may act, write, or read files. Catalogues that hold passwords are refused, and in texts what looks like a password, as in a connection string, comes as \`***\`. Never put a value of somebody else's into the text: that is what \`values\` is for.`,
  example: `- query.rows:
    sql: \${params.sql}
    values: \${params.values}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["sql"],
    properties: {
      sql: { type: "string", minLength: 1, description: "One statement that reads." },
      values: { type: "array", items: {}, description: "Values of $1, $2, …" },
      indexes: {
        type: "boolean",
        default: true,
        description: "False where an index may be damaged: tables are read from end to end.",
      },
      timeout: {
        type: "string",
        format: "duration",
        default: "30s",
        description: "The server cancels the statement after this long.",
      },
      max_rows: {
        type: "integer",
        minimum: 1,
        maximum: 10_000,
        default: 50,
        description: "Rows kept; more are reported as truncated.",
      },
    },
  },
  output: ANSWER,
  async run(ctx, input) {
    const { names } = await readReading(input.sql);
    refuseSecrets(names);
    const answer = answerOf(
      await readOnly(await session(ctx), input.sql, {
        signal: ctx.signal,
        values: input.values,
        timeoutMs: milliseconds(input.timeout ?? "30s"),
        maxRows: input.max_rows ?? 50,
        indexes: input.indexes === false ? false : undefined,
      }),
    );
    return { ...answer, rows: maskedRows(answer.rows) };
  },
});
