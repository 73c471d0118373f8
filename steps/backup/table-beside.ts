/** A table that is filled beside others under a name that nobody knows, and gets its real name last: so nobody takes a half-filled one for a whole one. */
import { createHash } from "node:crypto";
import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Alone } from "../../providers/backup/logical/alone.ts";
import { tableNamed } from "../../providers/backup/logical/names.ts";
import { quoteIdent, quoteName } from "../../providers/planner/twin/names.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { admin, assertName, databaseOid } from "./scratch-database.ts";

export interface NotedTable {
  table: {
    database: string;
    schema: string;
    /** The name that nobody knows. */
    name: string;
    /** Known once it is there. */
    oid?: string;
  };
  /** For `probe`: the output once it has its real name. */
  output?: { [key: string]: Json };
  [key: string]: unknown;
}

/** The same for each attempt of a step. */
export const newTableName = (ctx: StepContext) =>
  `pgdba_load_${createHash("sha256").update(`${ctx.run.id} ${ctx.step.path}`).digest("hex").slice(0, 12)}`;

/** At the end of the names of what belongs to a restored table. */
export const markOf = (ctx: StepContext) => `restored_${stampOf(ctx)}`;

/** When the run began, as a part of a name. */
export const stampOf = (ctx: StepContext) =>
  ctx.run.id
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .slice(0, 15);

/** @throws PgdbaError invalid_param */
export function tableIn(text: string): { schema: string; table: string } {
  const found = tableNamed(text);
  if (found !== null && /^(pg_|information_schema$)/.test(found.schema))
    throw new PgdbaError("invalid_param", `${found.schema} belongs to the server itself`, {
      hint: "Its catalogues are not restored one by one: name a table of your own.",
    });
  if (found !== null) return found;
  throw new PgdbaError("invalid_param", `${JSON.stringify(text)} names no table`, {
    hint: 'Write schema.table, with quotes where a name has a dot: public.orders, "my.schema".orders.',
  });
}

export async function inDatabase<T>(
  ctx: StepContext,
  database: string,
  work: (pg: PgSession) => Promise<T>,
): Promise<T> {
  const pg = await (await ctx.use("postgres")).open(database);
  try {
    return await work(pg);
  } finally {
    await pg.close();
  }
}

/** A table has a type of its name. */
const TAKEN = `SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relname = $2)
    OR EXISTS (SELECT FROM pg_type WHERE typnamespace = n.oid AND typname = $2) AS taken
  FROM pg_namespace n WHERE n.nspname = $1`;

/** @throws PgdbaError invalid_param where the name is taken, or the schema or the database is not there */
export async function assertTableFree(
  ctx: StepContext,
  database: string,
  schema: string,
  name: string,
): Promise<void> {
  assertName(name);
  if ((await databaseOid(await admin(ctx), database)) === null)
    throw new PgdbaError("invalid_param", `There is no database ${database} on the server`, {
      hint: `Where it was dropped, restore it whole (\`pgdba backup restore --in-database NAME\`, without --table), or bring the table into another one with --into. Names are case-sensitive.`,
    });
  const [found] = (await inDatabase(ctx, database, (pg) => pg.ask(TAKEN, [schema, name]))).rows;
  if (found === undefined)
    throw new PgdbaError("invalid_param", `${database} has no schema ${schema}`, {
      hint: `Names are case-sensitive. Make it (CREATE SCHEMA ${quoteIdent(schema)}), or bring the table into another database with --into.`,
    });
  if (found["taken"] === true)
    throw new PgdbaError("invalid_param", `${database} has ${schema}.${name} already`, {
      hint: "Give another name with --as.",
    });
}

const THERE = `SELECT c.oid::text AS oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;

/** Counts what was brought, has the planner know it, and gives it its name. @returns its rows @throws PgdbaError step_failed */
export async function finishTable(
  ctx: StepContext,
  {
    made,
    alone,
    to,
    output,
  }: { made: NotedTable; alone: Alone; to: string; output?: NotedTable["output"] },
): Promise<number> {
  const { database, schema, name } = made.table;
  return inDatabase(ctx, database, async (pg) => {
    const [found] = (await pg.ask(THERE, [schema, name])).rows;
    if (found === undefined)
      throw new PgdbaError("step_failed", `The table did not arrive in ${database}`, {
        hint: "Look who removes it: an event trigger may.",
      });
    const noted = { ...made, table: { ...made.table, oid: String(found["oid"]) } };
    ctx.note({ ...noted } as Json);
    const of = quoteName(schema, name);
    const only = alone.partitions > 0 ? "" : "ONLY ";
    const { rows } = await pg.ask(`SELECT count(*)::text AS rows FROM ${only}${of}`, [], {
      signal: ctx.signal,
    });
    const there = Number(rows[0]?.["rows"]);
    if (there !== alone.rows)
      throw new PgdbaError(
        "step_failed",
        `${schema}.${to} has ${there} rows, and the backup has ${alone.rows}`,
        { hint: "Look who changes it. It is removed again." },
      );
    for (const statement of alone.statistics) await pg.query(statement, [], { changes: true });
    await pg.query(`ANALYZE ${of}`, [], { alone: true, changes: true, signal: ctx.signal });
    if (output !== undefined) ctx.note({ ...noted, output } as Json);
    await pg.query(`ALTER TABLE ${of} RENAME TO ${quoteIdent(to)}`, [], { changes: true });
    return there;
  });
}

const BY_OID = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND (c.oid = $3::text::oid OR (n.nspname = $1 AND c.relname = $2))`;

/** Removes what the step has made, by its identity. @returns whether it may have made anything */
export async function removeTable(ctx: StepContext): Promise<boolean> {
  const { table } = (ctx.noted ?? {}) as Partial<NotedTable>;
  if (table === undefined) return false;
  const { database, schema, name, oid } = table;
  await inDatabase(ctx, database, async (pg) => {
    for (const found of (await pg.ask(BY_OID, [schema, name, oid ?? "0"])).rows)
      await pg.query(`DROP TABLE ${String(found["name"])}`, [], { changes: true });
  });
  return true;
}

/** For `probe`: the output of a step whose table has its real name by now. */
export async function tableDone(ctx: StepContext): Promise<NotedTable["output"] | null> {
  const { table, output } = (ctx.noted ?? {}) as Partial<NotedTable>;
  if (table?.oid === undefined || output === undefined) return null;
  const { rows } = await inDatabase(ctx, table.database, (pg) =>
    pg.ask(BY_OID, ["", "", table.oid]),
  );
  return rows[0] !== undefined && rows[0]["relname"] !== table.name ? output : null;
}
