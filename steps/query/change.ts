import { PgdbaError } from "../../engine/errors.ts";
import type { Json, JsonObject } from "../../engine/types.ts";
import { quoteIdent } from "../../providers/planner/twin/names.ts";
import { assertReads } from "../../providers/postgres/guard/acting.ts";
import { quoted } from "../../providers/postgres/guard/names.ts";
import { UNSEEN } from "../../providers/postgres/guard/pending.ts";
import { readStatement, type Statement } from "../../providers/postgres/guard/statement.ts";
import type { Run } from "../../providers/postgres/session.ts";
import { defineStep } from "../define.ts";
import { expectedOf } from "./expected.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";
import { maskedRows, refuseSecrets } from "./secret.ts";

const LOCK_TIMEOUT = "2s";
/** Rows of a RETURNING kept, of each statement. */
const MAX_ROWS = 100;
/** What the server lives on is changed by its own commands alone. */
const SYSTEM = ["pg_catalog", "pg_toast", "information_schema"];

interface Input {
  sql: string[];
  rows: number[];
}

export default defineStep({
  type: "query.change",
  summary:
    "Change rows by statements that are given only when it runs, and only as many rows as was said.",
  docs: `Unlike the text of \`sql.execute\`, those of this one may be parameters. Each is one INSERT, UPDATE, DELETE or MERGE, all in one transaction, and each must
change just as many rows as \`rows\` says: else nothing is changed, and the error tells how many it would have been. Tables of PostgreSQL itself are refused, and so is a WITH query that
writes, for the server does not count its rows. What a statement itself calls must only read, by the rules of \`query.rows\`, so that nothing is done but to rows; catalogues with passwords are
refused, and what looks like a password is masked, as there.

Defaults and triggers act as ever, with the rights of the session, or of \`role\`. There is no way back but a statement of one's own. A plan runs none of it: the planner tells for each statement how many rows it expects it to touch, as all stands before the first of them, and the catalogues which
triggers and foreign keys would act on it. After a crash \`resume\` can't know whether it was committed.`,
  example: `- query.change:
    sql: \${params.sql}
    rows: \${params.rows}
`,
  effect: "change",
  oneAct: true,
  // An estimate is another one after the next ANALYZE.
  varies: ["expected"],
  idempotent: false,
  risk: "disruptive",
  locks: "none",
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["sql", "rows"],
    properties: {
      sql: {
        type: "array",
        minItems: 1,
        items: { type: "string", minLength: 1 },
        description: "The statements, in their order.",
      },
      rows: {
        type: "array",
        items: { type: "integer", minimum: 0 },
        description: "How many rows each of them changes.",
      },
      role: {
        type: ["string", "null"],
        minLength: 1,
        description: "With the rights of this role.",
      },
      timeout: {
        type: "string",
        format: "duration",
        default: "1m",
        description: "The server cancels each statement after this long.",
      },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["changed"],
    properties: {
      changed: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["sql", "command", "rows", "returned"],
          properties: {
            sql: { type: "string" },
            command: { type: "string", description: "The server's word for it, e.g. UPDATE" },
            rows: { type: "integer" },
            returned: {
              type: "array",
              items: { type: "object" },
              description: `Rows of RETURNING, the first ${MAX_ROWS}`,
            },
          },
        },
      },
    },
  },
  async run(ctx, input) {
    const statements = await statementsOf(input);
    const pg = await session(ctx);
    const options = {
      readOnly: false,
      timeoutMs: milliseconds(input.timeout ?? "1m"),
      lockTimeoutMs: milliseconds(input.lock_timeout ?? LOCK_TIMEOUT),
      signal: ctx.signal,
    };
    return pg.transaction(options, async (run) => {
      await actAs(run, input.role);
      const changed = [];
      for (const [at, statement] of statements.entries()) {
        const sql = statement.text;
        await refuseWhatActs(run, statement);
        const { command, row_count, rows } = await run(sql, [], { maxRows: MAX_ROWS, drain: true });
        if (row_count !== input.rows[at]) throw otherRows(sql, input.rows[at]!, row_count);
        changed.push({ sql, command, rows: row_count, returned: maskedRows(rows as JsonObject[]) });
      }
      return { changed };
    });
  },
  async plan(ctx, input): Promise<Json> {
    const statements = await statementsOf(input);
    const pg = await session(ctx);
    const options = {
      readOnly: true,
      timeoutMs: milliseconds(input.timeout ?? "1m"),
      lockTimeoutMs: milliseconds(input.lock_timeout ?? LOCK_TIMEOUT),
      signal: ctx.signal,
    };
    const expected: Json[] = await pg.transaction(options, async (run) => {
      await actAs(run, input.role);
      const found = [];
      for (const statement of statements) {
        await refuseWhatActs(run, statement);
        found.push(await expectedOf(run, statement.text));
      }
      return found;
    });
    return { expected, changes: input.sql.map((sql, at) => ({ rows: input.rows[at]!, sql })) };
  },
});

async function actAs(run: Run, role: string | null | undefined): Promise<void> {
  if ((role ?? null) !== null) await run(`SET LOCAL ROLE ${quoteIdent(role!)}`);
}

async function refuseWhatActs(run: Run, statement: Change): Promise<void> {
  await refuseSystem(run, statement.target);
  await refuseActing(run, statement);
}

interface Change extends Statement {
  /** The table that it writes to. */
  target: { schema: string | null; name: string };
}

/** @throws PgdbaError invalid_param | step_refused */
async function statementsOf({ sql, rows }: Input): Promise<Change[]> {
  if (sql.length !== rows.length)
    throw new PgdbaError(
      "invalid_param",
      `There are ${sql.length} statements, and rows has ${rows.length} numbers`,
      { hint: "Say of each statement how many rows it is to change, in the same order." },
    );
  const changes = [];
  for (const text of sql) {
    const statement = await readStatement(text);
    const tables = statement.names?.tables ?? [];
    const [target, ...more] = tables.filter(({ privileges }) => privileges.some(writes));
    if (target === undefined || more.length > 0)
      throw notOneChange(text, target === undefined ? 0 : more.length + 1);
    refuseSecrets(statement.names);
    changes.push({ ...statement, target });
  }
  return changes;
}

const writes = (privilege: string): boolean => privilege !== "SELECT";

async function refuseSystem(run: Run, target: Change["target"]): Promise<void> {
  const table = quoted(target);
  const { rows } = await run(
    "SELECT n.nspname::text AS schema FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass($1)",
    [table],
  );
  if (SYSTEM.includes(String(rows[0]?.["schema"])))
    throw new PgdbaError("step_refused", `${table} is a table of PostgreSQL itself`, {
      hint: "Its rows are changed by commands such as ALTER TABLE; `pgdba list` finds the runbook for what you want.",
      nothingDone: true,
    });
}

/** Rows are all that it may change: no session, file or sequence by a function that it calls. @throws PgdbaError step_refused */
async function refuseActing(run: Run, { text, names }: Statement): Promise<void> {
  try {
    await assertReads(run, { text, names, level: UNSEEN });
  } catch (cause) {
    if (!(cause instanceof PgdbaError) || cause.code !== "step_refused") throw cause;
    throw new PgdbaError("step_refused", cause.message, {
      cause,
      hint: "What the statement calls must only read. Leave a sequence to the column's default, and what else is to be done to the runbook for it.",
      data: cause.data,
      nothingDone: true,
    });
  }
}

function notOneChange(sql: string, written: number): PgdbaError {
  return new PgdbaError(
    "step_refused",
    written === 0 ? `This changes no rows: ${sql}` : `This writes to ${written} tables: ${sql}`,
    {
      hint:
        written === 0
          ? "Give one INSERT, UPDATE, DELETE or MERGE; query/rows is for one that reads."
          : "Write each as a statement of its own: all are done in one transaction.",
      nothingDone: true,
    },
  );
}

function otherRows(sql: string, said: number, found: number): PgdbaError {
  return new PgdbaError(
    "step_failed",
    `It would change ${found} rows, and not ${said}: nothing was changed by ${sql}`,
    {
      hint: `Look at these rows with query/rows first. Where they are the right ones, say ${found}.`,
      data: { sql, said, found },
      nothingDone: true,
    },
  );
}
