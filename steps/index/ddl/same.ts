import { PgdbaError } from "../../../engine/errors.ts";
import { quoteName } from "../../../providers/planner/twin/names.ts";
import type { PgSession, Run } from "../../../providers/postgres/session.ts";
import { type Definition, STAND_IN } from "./definition.ts";
import type { Existing } from "./existing.ts";

/** The shape of an index in the server's own words: all but its table, its name and how full its pages are kept. */
const SHAPE = `SELECT jsonb_build_object('method', am.amname, 'unique', i.indisunique, 'keys', i.indnkeyatts, 'classes', i.indclass::text,
    'collations', i.indcollation::text, 'options', i.indoption::text, 'predicate', pg_get_expr(i.indpred, i.indrelid), 'nulls', to_jsonb(i) -> 'indnullsnotdistinct',
    'columns', ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnatts) n))::text AS shape
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam WHERE i.`;

/** Thrown to have the transaction rolled back. */
class Undo extends Error {}

/**
 * True when the index that has the name is the wanted one. The server is asked to make it on an empty temporary table like the real
 * one, since only it knows how it writes an expression; that is rolled back.
 * @throws PgdbaError query_failed when the definition is not valid | insufficient_privilege
 */
export async function isSame(
  pg: PgSession,
  definition: Definition,
  schema: string,
  present: Existing,
): Promise<boolean> {
  if (present.table !== `${schema}.${definition.table}`) return false;
  const shape = async (run: Run, where: string, value: string): Promise<unknown> =>
    (await run(`${SHAPE}${where} = $1::regclass`, [value])).rows[0]?.["shape"];
  let same = false;
  try {
    await pg.transaction({ readOnly: false }, async (run) => {
      const table = quoteName(schema, definition.table);
      await run(`CREATE TEMPORARY TABLE ${STAND_IN} (LIKE ${table})`);
      await run(definition.standIn);
      const wanted = await shape(run, "indrelid", `pg_temp.${STAND_IN}`);
      const found = await shape(run, "indexrelid", quoteName(present.schema, present.name));
      same = wanted === found;
      throw new Undo();
    });
  } catch (error) {
    if (!(error instanceof Undo)) throw error;
  }
  return same;
}

/** @throws PgdbaError step_refused when the index that has the name is another one */
export async function assertSame(
  pg: PgSession,
  definition: Definition,
  schema: string,
  present: Existing,
): Promise<void> {
  if (await isSame(pg, definition, schema, present)) return;
  throw new PgdbaError(
    "step_refused",
    `The name ${definition.name} is taken by another index: ${present.definition}`,
    { hint: "Give the new index another name, or drop the one that has it first." },
  );
}
