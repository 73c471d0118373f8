import { type JsonObject, LOCK_WORDS, type StepContext } from "../../engine/types.ts";
import { PgdbaError } from "../../engine/errors.ts";
import { defineStep } from "../define.ts";
import { readOnly } from "../../providers/postgres/guard/read.ts";
import { lintReading } from "../../providers/postgres/guard/reading.ts";
import {
  asNamed,
  lintPlaces,
  lintValues,
  literalsOf,
  placeIdentifiers,
  placeLiterals,
} from "./input.ts";
import { repeatable, withServerState } from "./repeatable.ts";
import { milliseconds, session } from "./session.ts";

/** Rows of a RETURNING kept; the statement itself always runs to its end. */
const MAX_ROWS = 1000;

const sqlText = { type: "string", minLength: 1, "x-lang": "static" } as const;

export default defineStep({
  type: "sql.execute",
  summary: "Change something with one SQL statement, in a transaction of its own.",
  docs: `The text of the statement is fixed; values go in through \`$1\`, \`$2\`, … and \`values\`, names through \`:"name"\` and \`identifiers\`.
The few commands that take no \`$1\` (\`ROLLBACK PREPARED\`, \`ALTER ROLE … PASSWORD\`) get texts through \`:'name'\` and \`literals\`.

Some commands can't run in a transaction (\`CREATE INDEX CONCURRENTLY\`, \`VACUUM\`, \`ALTER SYSTEM\`, \`CREATE DATABASE\`): say
\`transaction: false\`. Such a command has no outcome that we could undo, and one that fails once the server has begun it, or whose
connection is lost, may have happened in part: the step's undo runs. A statement that PostgreSQL rolled back with an error is not taken back.

After a crash \`resume\` can't know whether the statement was committed, unless \`probe\` says so (one statement that gives one
boolean, and only reads as \`sql.query\` does) or \`idempotent: true\` says that doing it twice is the same as once.

A commit that the server itself says no standby has confirmed ends the step as \`needs_operator\`: the change is there, and a failover
would lose it.`,
  example: `- sql.execute:
    sql: ALTER TABLE :"schema".:"table" SET (autovacuum_enabled = true)
    identifiers: {schema: public, table: orders}
    lock_timeout: 2s
    idempotent: true
`,
  effect: "change",
  oneAct: true,
  idempotent: (input) => input.idempotent === true,
  needs: ["postgres"],
  locks: (input) => input.locks ?? "all",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["sql"],
    properties: {
      sql: { ...sqlText, description: "One SQL statement." },
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
      literals: {
        type: "object",
        additionalProperties: { type: "string" },
        description: "Texts that replace :'name', quoted, in commands that take no $1.",
      },
      database: {
        type: ["string", "null"],
        minLength: 1,
        description: "Another database of the same server.",
      },
      locks: {
        enum: [...LOCK_WORDS],
        "x-lang": "static",
        description:
          "What must not run on the target at the same time; all without it. `none` for what goes well beside a backup or a switchover.",
      },
      timeout: {
        type: "string",
        format: "duration",
        description: "The server cancels the statement after this long.",
      },
      lock_timeout: {
        type: "string",
        format: "duration",
        description: "How long to wait for a lock.",
      },
      transaction: {
        type: "boolean",
        default: true,
        description: "False for commands that refuse to run in one.",
      },
      idempotent: {
        type: "boolean",
        default: false,
        description: "Doing it twice is the same as once: resume may repeat it.",
      },
      probe: {
        ...sqlText,
        description:
          "One statement giving one boolean: did it already happen? Takes the same identifiers.",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["row_count", "rows", "command"],
    properties: {
      row_count: { type: "integer", description: "Rows that were changed or returned." },
      rows: {
        type: "array",
        items: { type: "object" },
        description: `Rows of RETURNING, the first ${MAX_ROWS}.`,
      },
      command: { type: "string", description: "The server's word for the act, e.g. UPDATE." },
    },
  },
  async lint(input) {
    const { sql, probe, identifiers, literals, values } = input as unknown as Input;
    const texts = [sql, probe];
    const problems = [
      ...lintPlaces(texts, "identifiers", identifiers),
      ...lintPlaces(texts, "literals", literals),
    ];
    const reading = typeof probe === "string" ? await lintReading(named(probe)) : [];
    return [
      ...problems,
      ...lintValues(sql, values),
      ...reading.map((finding) => ({ path: ["probe"], ...finding })),
    ];
  },
  async run(ctx, input) {
    const sql = placed(input.sql, input);
    const values = input.values ?? [];
    const limits = { maxRows: MAX_ROWS, drain: true };
    const options = {
      timeoutMs: milliseconds(input.timeout),
      lockTimeoutMs: milliseconds(input.lock_timeout),
      signal: ctx.signal,
    };
    const pg = await session(ctx, input.database ?? undefined);
    const acting =
      input.transaction === false
        ? pg.query(sql, values, { ...limits, ...options, changes: true })
        : pg.transaction({ readOnly: false, ...options }, (run) => run(sql, values, limits));
    const result = await acting.catch(async (error: unknown) => {
      throw await withServerState(ctx, input.idempotent === true ? repeatable(error) : error);
    });
    const { row_count, rows, command } = result;
    return { row_count, rows, command };
  },
  async plan(_ctx, input: Input) {
    const preview: JsonObject = {
      sql: placed(input.sql, input),
      values: (input.values ?? []) as JsonObject[],
    };
    return preview;
  },
  async probe(ctx: StepContext, input: Input) {
    if (input.probe === undefined)
      return { state: "unknown", reason: "The step has no probe, and a commit leaves no mark." };
    const sql = placed(input.probe, input);
    const pg = await session(ctx, input.database ?? undefined);
    const { rows } = await readOnly(pg, sql, { maxRows: 1, signal: ctx.signal });
    const answer = Object.values(rows[0] ?? {})[0];
    if (typeof answer !== "boolean")
      throw new PgdbaError("step_failed", "The probe did not give a boolean", {
        hint: "Make it SELECT EXISTS (...).",
      });
    return answer
      ? { state: "done", output: { row_count: 0, rows: [], command: "" } }
      : { state: "not_done" };
  },
});

function placed(sql: string, { identifiers = {}, literals = {} }: Input): string {
  return placeLiterals(placeIdentifiers(sql, identifiers), literals);
}

/** The statement with each name in its own place, so that it can be read. */
function named(sql: string): string {
  const own = Object.fromEntries(literalsOf(sql).map((name) => [name, name]));
  return placed(sql, { sql, identifiers: asNamed(sql), literals: own });
}

interface Input {
  sql: string;
  values?: unknown[];
  identifiers?: Record<string, string>;
  literals?: Record<string, string>;
  database?: string | null;
  probe?: string;
}
