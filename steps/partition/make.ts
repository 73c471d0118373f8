import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../engine/types.ts";
import { quoteIdent, quoteLiteral, quoteName } from "../../providers/planner/twin/names.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";
import { type Alike, alike as likeSiblings } from "./siblings/alike.ts";

const LOCK_TIMEOUT = "2s";
const TIMEOUT_MS = 30_000;

const OWNER = `SELECT pg_get_userbyid(c.relowner)::text AS owner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;

/** What would do more than move the rows, or keep them from being moved. A generated column is computed again. */
const MOVE = `WITH parts AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) IN (($1::text, $2::text), ($3::text, $4::text)))
  SELECT ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = format('%I.%I', $1::text, $2::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum) AS columns,
    ARRAY(SELECT DISTINCT k.conname::text || ' of ' || k.conrelid::regclass FROM pg_constraint k JOIN parts p ON k.confrelid = p.oid WHERE k.contype = 'f' AND k.conparentid = 0) AS keys,
    ARRAY(SELECT DISTINCT t.tgname::text FROM pg_trigger t JOIN parts p ON t.tgrelid = p.oid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 12 <> 0) AS triggers,
    (SELECT bool_or(row_security_active(p.oid)) FROM parts p) AS hidden`;

interface Move {
  columns: string[];
  keys: string[];
  triggers: string[];
  hidden: boolean;
}

interface Facts {
  owner: string;
  /** Null where no rows are moved. */
  move: Move | null;
  alike: Alike;
}

const text = (description: string) => ({ type: "string", minLength: 1, description }) as const;

export default defineStep({
  type: "partition.make",
  summary:
    "Make a partition by range, owned by its table's owner, with rows out of the default partition",
  docs: `One transaction, so that nobody sees a partition that its table's owner can't change. It gets the grants and storage parameters that all partitions beside it have; grants that only some have
are a warning, and so are all of them where the others have row security of their own. With \`out_of\` the rows of the range go along, while nobody else reads or writes the table: they are put aside
and deleted, the partition is made, and they are inserted. Refused where more would happen than that: foreign keys that reference the table (ON DELETE CASCADE would delete what points to the rows),
and triggers on INSERT or DELETE.`,
  example: `- partition.make: {schema: public, table: log, name: log_2, from: 2030-01-01, to: 2030-02-01}
`,
  effect: "change",
  oneAct: true,
  idempotent: false,
  needs: ["postgres", "primary"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "table", "name", "from", "to"],
    properties: {
      schema: text("That of the partitioned table, and of the new partition"),
      table: text("The partitioned table"),
      name: text("The new partition"),
      from: text("The first value that it takes"),
      to: text("The first value that it does not take any more"),
      out_of: {
        type: ["object", "null"],
        additionalProperties: false,
        required: ["schema", "table", "column"],
        properties: {
          schema: text("Its schema"),
          table: text("Its name"),
          column: text("The column that the table is partitioned by"),
        },
        description: "The default partition whose rows of the range go into the new one",
      },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT, "the lock"),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["moved", "granted"],
    properties: {
      granted: {
        type: ["array", "null"],
        items: {
          type: "object",
          additionalProperties: false,
          required: ["role", "rights"],
          properties: { role: { type: "string" }, rights: { type: "string" } },
        },
        description:
          "What it was granted as all partitions beside it are; null where an earlier process did it",
      },
      moved: {
        type: ["integer", "null"],
        description: "Rows; null where an earlier process did it",
      },
    },
  },
  async run(ctx, input) {
    const pg = await session(ctx);
    const facts = await beforeActing(ctx, () => look(ctx, pg, input));
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? LOCK_TIMEOUT);
    const moved = await pg.transaction(
      { readOnly: false, lockTimeoutMs, signal: ctx.signal },
      async (run) => {
        const counts: number[] = [];
        for (const sql of statements(input, facts)) counts.push((await run(sql)).row_count);
        return facts.move === null ? 0 : rowsMoved(input, counts);
      },
    );
    for (const warning of facts.alike.warnings) ctx.warn(warning);
    return { moved, granted: facts.alike.granted.map((one) => ({ ...one })) };
  },
  async plan(ctx, input) {
    const facts = await look(ctx, await session(ctx), input);
    for (const warning of facts.alike.warnings) ctx.warn(warning);
    return { sql: statements(input, facts).join(";\n") };
  },
  async probe(ctx, { schema, name }) {
    const sql = `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND c.relispartition`;
    const { rows } = await (await session(ctx)).query(sql, [schema, name]);
    return rows.length > 0
      ? { state: "done", output: { moved: null, granted: null } }
      : { state: "not_done" };
  },
});

interface Input {
  schema: string;
  table: string;
  name: string;
  from: string;
  to: string;
  out_of?: JsonObject | null | undefined;
}

interface Fallback {
  schema: string;
  table: string;
  column: string;
}

const fallbackOf = ({ out_of: from }: Input): Fallback | null =>
  (from ?? null) as unknown as Fallback | null;

/** @throws PgdbaError step_refused where it would do more than move rows */
async function look(ctx: StepContext, pg: PgSession, input: Input): Promise<Facts> {
  const { schema, table } = input;
  const from = fallbackOf(input);
  const options = { timeoutMs: TIMEOUT_MS, signal: ctx.signal };
  const [found] = (await pg.query(OWNER, [schema, table], options)).rows;
  if (found === undefined)
    throw new PgdbaError("step_refused", `There is no table ${schema}.${table} any more`, {
      hint: "Somebody has dropped it, or given it another name: look, and run it again.",
    });
  const owner = String(found["owner"]);
  const like = await likeSiblings(pg, input, quoteName(schema, input.name));
  if (from === null) return { owner, move: null, alike: like };
  const { rows } = await pg.query(MOVE, [schema, table, from.schema, from.table], options);
  const move = rows[0] as unknown as Move;
  const { keys, triggers, hidden } = move;
  const refuse = (message: string, hint: string) =>
    new PgdbaError("step_refused", message, { hint });
  if (keys.length > 0)
    throw refuse(
      `Rows of ${schema}.${table} are referenced by ${keys.join(", ")}: to move them would delete them for a moment`,
      "Drop these foreign keys, run it again, and add them anew NOT VALID; pgdba constraint validate looks at the rows then.",
    );
  if (triggers.length > 0)
    throw refuse(
      `Triggers on ${schema}.${table} would act on the rows that are moved: ${triggers.join(", ")}`,
      "Where they may not act: ALTER TABLE … DISABLE TRIGGER each of them on the table, run it again, and pgdba table trigger-enable.",
    );
  if (hidden)
    throw refuse(
      `Row security hides rows of ${schema}.${table} from ${pg.info.user}`,
      "Connect as the owner, a superuser or a role with BYPASSRLS.",
    );
  return { owner, move, alike: like };
}

/** @throws PgdbaError step_failed where rows would be lost or doubled, as by a rule on the table: all is rolled back */
function rowsMoved({ schema, table }: Input, counts: readonly number[]): number {
  const [, aside, deleted] = counts;
  const inserted = counts.at(-1)!;
  if (aside === inserted && aside === deleted) return inserted;
  throw new PgdbaError(
    "step_failed",
    `Of ${aside} rows ${deleted} were deleted and ${inserted} inserted: nothing was changed`,
    { hint: `Look for rules on ${schema}.${table} and its default partition (\\d+ in psql).` },
  );
}

/** With rows to move, the second puts them aside, the third deletes them, and the last inserts them. */
function statements(input: Input, { owner, move, alike }: Facts): string[] {
  const table = quoteName(input.schema, input.table);
  const made = quoteName(input.schema, input.name);
  const [from, to] = [quoteLiteral(input.from), quoteLiteral(input.to)];
  const making = [
    `CREATE TABLE ${made} PARTITION OF ${table} FOR VALUES FROM (${from}) TO (${to})`,
    `ALTER TABLE ${made} OWNER TO ${quoteIdent(owner)}`,
    ...alike.statements,
  ];
  const fallback = fallbackOf(input);
  if (move === null || fallback === null) return making;
  const rest = quoteName(fallback.schema, fallback.table);
  const column = quoteIdent(fallback.column);
  const inside = `${column} >= ${from} AND ${column} < ${to}`;
  const list = move.columns.map(quoteIdent).join(", ");
  return [
    `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`,
    `CREATE TEMPORARY TABLE pgdba_moved ON COMMIT DROP AS SELECT ${list} FROM ${rest} WHERE ${inside}`,
    `DELETE FROM ${rest} WHERE ${inside}`,
    ...making,
    `INSERT INTO ${table} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM pgdba_moved`,
  ];
}
