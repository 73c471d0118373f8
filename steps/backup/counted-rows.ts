/** The rows of a restored database, compared with those that it should have. */
import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import type { TableRows } from "../../providers/backup/logical/rows.ts";
import { quoteName } from "../../providers/planner/twin/names.ts";
import { inDatabase } from "./table-beside.ts";

const TABLES = `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')`;

/** Counts, compares, and has the planner know the tables. @throws PgdbaError step_failed */
export async function settle(
  ctx: StepContext,
  database: string,
  known: readonly TableRows[] | null,
) {
  return inDatabase(ctx, database, async (pg) => {
    let total = 0;
    const differences: string[] = [];
    const tables =
      known ??
      (await pg.ask(TABLES, [], { maxRows: 1_000_000 })).rows.map(({ schema, name }) => ({
        schema: String(schema),
        table: String(name),
        rows: null,
      }));
    for (const [at, { schema, table, rows }] of tables.entries()) {
      ctx.progress({ done: at, total: tables.length, text: "counting rows" });
      const asked = await pg.ask(
        `SELECT count(*)::text AS rows FROM ONLY ${quoteName(schema, table)}`,
        [],
        { signal: ctx.signal },
      );
      const there = Number(asked.rows[0]?.["rows"]);
      total += there;
      if (rows !== null && rows !== there)
        differences.push(`${schema}.${table} has ${there} rows and should have ${rows}`);
    }
    if (differences.length > 0) {
      throw new PgdbaError(
        "step_failed",
        `Not all was restored: ${differences.slice(0, 20).join("; ")}`,
        {
          hint: "A trigger or a rule in the database may change what is loaded. The half-good database is removed again.",
        },
      );
    }
    await pg.query("ANALYZE", [], { alone: true, changes: true, signal: ctx.signal });
    return { tables: tables.length, rows: total };
  });
}
