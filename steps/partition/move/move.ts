import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { quoteIdent, quoteLiteral, quoteName } from "../../../providers/planner/twin/names.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/** What would do more than move the rows, or keep them from being moved. A generated column is computed again. */
const MOVE = `WITH parts AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) IN (($1::text, $2::text), ($3::text, $4::text)))
  SELECT ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = format('%I.%I', $1::text, $2::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum) AS columns,
    ARRAY(SELECT DISTINCT k.conname::text || ' of ' || k.conrelid::regclass FROM pg_constraint k JOIN parts p ON k.confrelid = p.oid WHERE k.contype = 'f' AND k.conparentid = 0) AS keys,
    ARRAY(SELECT DISTINCT t.tgname::text FROM pg_trigger t JOIN parts p ON t.tgrelid = p.oid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 12 <> 0) AS triggers,
    (SELECT bool_or(row_security_active(p.oid)) FROM parts p) AS hidden`;

/** The rows of a range that go out of the default partition into one that is made for them. */
export interface Move {
  from: Fallback;
  columns: string[];
  keys: string[];
  triggers: string[];
  hidden: boolean;
}

interface Fallback {
  schema: string;
  table: string;
  column: string;
}

/** The range of a new partition, and where its rows are now. */
export interface Range {
  schema: string;
  table: string;
  from: string;
  to: string;
  out_of?: JsonObject | null | undefined;
}

/**
 * Null where no rows are moved.
 * @throws PgdbaError step_refused where it would do more than move rows
 */
export async function lookAtMove(
  pg: PgSession,
  { schema, table, out_of }: Range,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<Move | null> {
  const from = (out_of ?? null) as unknown as Fallback | null;
  if (from === null) return null;
  const { rows } = await pg.query(MOVE, [schema, table, from.schema, from.table], options);
  const move = { ...(rows[0] as unknown as Omit<Move, "from">), from };
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
  return move;
}

/** The statements around those that make the partition: the second puts the rows aside, the third deletes them, and the last inserts them. */
export function movingAround(
  making: readonly string[],
  range: Range,
  { from: fallback, columns }: Move,
): string[] {
  const table = quoteName(range.schema, range.table);
  const rest = quoteName(fallback.schema, fallback.table);
  const column = quoteIdent(fallback.column);
  const inside = `${column} >= ${quoteLiteral(range.from)} AND ${column} < ${quoteLiteral(range.to)}`;
  const list = columns.map(quoteIdent).join(", ");
  return [
    `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`,
    `CREATE TEMPORARY TABLE pgdba_moved ON COMMIT DROP AS SELECT ${list} FROM ${rest} WHERE ${inside}`,
    `DELETE FROM ${rest} WHERE ${inside}`,
    ...making,
    `INSERT INTO ${table} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM pgdba_moved`,
  ];
}

/**
 * @param counts of the rows that these statements have touched, one by one
 * @throws PgdbaError step_failed where rows would be lost or doubled, as by a rule on the table: all is rolled back
 */
export function rowsMoved({ schema, table }: Range, counts: readonly number[]): number {
  const [, aside, deleted] = counts;
  const inserted = counts.at(-1)!;
  if (aside === inserted && aside === deleted) return inserted;
  throw new PgdbaError(
    "step_failed",
    `Of ${aside} rows ${deleted} were deleted and ${inserted} inserted: nothing was changed`,
    { hint: `Look for rules on ${schema}.${table} and its default partition (\\d+ in psql).` },
  );
}
