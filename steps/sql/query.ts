import { PgdbaError } from "../../engine/errors.ts";
import { defineStep } from "../define.ts";
import { readOnly } from "../../providers/postgres/guard/read.ts";
import { lintReading } from "../../providers/postgres/guard/reading.ts";
import { ANSWER, answerOf } from "./answer.ts";
import { asNamed, lintPlaces, lintValues, placeIdentifiers } from "./input.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { milliseconds, onMember, session } from "./session.ts";

export default defineStep({
  type: "sql.query",
  summary: "Ask the server with one statement, in a read-only transaction that is rolled back.",
  docs: `The text of the statement is fixed; values go in through \`$1\`, \`$2\`, … and \`values\`, names through
\`:"name"\` and \`identifiers\`. Rows come as objects by column name:
\`int8\` and \`numeric\` as numbers where that is exact and as text otherwise, times as ISO 8601, \`bytea\` as base64, \`json\` as it is.

It is one SELECT, VALUES, TABLE, SHOW or EXPLAIN without ANALYZE. A read-only transaction keeps tables as they are, but not functions from
acting: so all that the statement calls (behind operators, casts, views and policies too) must be STABLE or IMMUTABLE, or one of those that
are known to read only, such as \`random\`, \`clock_timestamp\`, \`pg_current_wal_lsn\`, \`pg_sleep\`, \`pg_ls_waldir\`, \`pgstattuple\`. Refused is
what ends sessions, switches WAL, writes or reads files, takes advisory locks, moves sequences, reaches other servers (foreign tables
too); \`pgdba lint\` finds what the text shows, the server is asked about the rest before the statement is run. Use \`sql.execute\` for what changes
something, and ALTER FUNCTION … STABLE for a function of yours that only reads: without a word it is VOLATILE.`,
  example: `- sql.query:
    sql: SELECT datname, pg_database_size(oid) AS bytes FROM pg_database WHERE datname = $1
    values: [postgres]
    one_row: true
`,
  effect: "read",
  idempotent: true,
  needs: (input) => (input.member === undefined ? ["postgres"] : ["member"]),
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
      identifiers: {
        type: "object",
        additionalProperties: { type: "string" },
        description: 'Names that replace :"name", quoted.',
      },
      database: {
        type: "string",
        minLength: 1,
        description: "Another database of the same server.",
      },
      member: {
        type: "string",
        minLength: 1,
        description: "A member of the cluster, by its name; the writable primary without it.",
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
  output: ANSWER,
  async lint(input) {
    const { sql, values, identifiers } = input as {
      sql?: unknown;
      values?: unknown;
      identifiers?: object;
    };
    if (typeof sql !== "string") return [];
    const reading = await lintReading(placeIdentifiers(sql, asNamed(sql)));
    return [
      ...reading.map((finding) => ({ path: ["sql"], ...finding })),
      ...lintPlaces([sql], "identifiers", identifiers),
      ...lintValues(sql, values),
    ];
  },
  async run(ctx, input) {
    const sql = placeIdentifiers(input.sql, input.identifiers ?? {});
    const ask = (pg: PgSession) =>
      readOnly(pg, sql, {
        signal: ctx.signal,
        values: input.values,
        timeoutMs: milliseconds(input.timeout),
        maxRows: input.max_rows,
      });
    const result =
      input.member === undefined
        ? await ask(await session(ctx, input.database))
        : await onMember(ctx, input.member, ask, input.database);
    if (input.one_row === true && (result.rows.length !== 1 || result.truncated)) {
      throw new PgdbaError(
        "step_failed",
        `Expected one row, got ${result.truncated ? "more" : result.rows.length}`,
        {
          hint: "Make the query select exactly one row, or leave one_row out.",
        },
      );
    }
    return answerOf(result);
  },
});
