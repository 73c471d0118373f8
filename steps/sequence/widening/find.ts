import { PgdbaError } from "../../../engine/errors.ts";
import { bareOrQuoted, quoteName } from "../../../providers/planner/twin/names.ts";
import type { PgSession, QueryResult } from "../../../providers/postgres/session.ts";
import { relationName } from "../../../providers/postgres/relation-name.ts";
import COLUMNS from "../sql/widening-columns.sql" with { type: "text" };
import SEQUENCES from "../sql/widening-sequences.sql" with { type: "text" };
import type { Widened } from "./input.ts";

/** What is to be widened, as a person names it: a sequence with all that it feeds, or one column. */
export interface Wanted {
  sequence?: string | null | undefined;
  table?: string | null | undefined;
  column?: string | null | undefined;
}

/** A column that holds the numbers: the one that the sequence feeds, or one that references it. */
export interface Column {
  relid: number;
  schema: string;
  table: string;
  kind: "r" | "p";
  name: string;
  attnum: number;
  /** As `format_type` writes it. */
  type: string;
  not_null: boolean;
  /** `a` always, `d` by default, empty for no identity column. */
  identity: string;
  default_expr: string | null;
  /** Of the table with its indexes and TOAST, and of all its partitions. */
  bytes: number;
  /** As last counted by VACUUM or ANALYZE, or as the server's counters have it. */
  rows: number;
  /** The user has the rights of its owner, without which nothing of it can be changed. */
  owned: boolean;
  inherits: boolean;
  published: boolean;
  /** What PostgreSQL changes no type under. */
  blockers: string[];
}

export interface Sequence {
  oid: number;
  schema: string;
  name: string;
  type: string;
  owned: boolean;
  ascending: boolean;
  /** It belongs to an identity column, whose type it follows. */
  identity: boolean;
  /** It is of bigint and goes to the end of that type. */
  wide: boolean;
}

export interface Widening {
  /** All columns, the first one first, those that are bigint already included. */
  columns: Column[];
  sequences: Sequence[];
}

/** The types that have a wider one. */
const NARROW = new Set(["smallint", "integer"]);

export const isNarrow = ({ type }: Column): boolean => NARROW.has(type);
export const tableName = ({ schema, table }: Pick<Column, "schema" | "table">): string =>
  quoteName(schema, table);
/** For people: quoted only where it would mean another name otherwise. */
export const shown = (...names: string[]): string => names.map(bareOrQuoted).join(".");
export const columnName = ({ schema, table, name }: Column): string => shown(schema, table, name);

/** The names of all that is not bigint yet. */
export function narrowNames({ columns, sequences }: Widening): Widened {
  return {
    columns: columns.filter(isNarrow).map(columnName),
    sequences: sequences.filter(({ wide }) => !wide).map(({ schema, name }) => shown(schema, name)),
  };
}

/** Where it begins: found by names, which go by the session's search_path. */
export interface Start {
  sequence?: number;
  roots: Root[];
}

/** Asks one statement: in a session, or inside a transaction of it. */
export type Ask = (sql: string, values?: readonly unknown[]) => Promise<QueryResult>;
export const askOf =
  (pg: PgSession): Ask =>
  (sql, values) =>
    pg.ask(sql, values);

/**
 * The columns and sequences that have to be widened together.
 * @throws PgdbaError invalid_param | step_refused when there is no such sequence or column
 */
export async function findWidening(pg: PgSession, wanted: Wanted): Promise<Widening> {
  return follow(askOf(pg), await startingPoints(pg, wanted));
}

/** The same from where it begins, as it stands now. */
export async function follow(ask: Ask, { sequence, roots }: Start): Promise<Widening> {
  const columns = new Map<string, Column>();
  const sequences = new Map<number, Sequence>();
  const add = async (values: unknown[]): Promise<void> => {
    for (const row of (await ask(SEQUENCES, values)).rows) {
      const { columns: _, ...found } = row as unknown as Sequence & { columns: unknown };
      sequences.set(found.oid, found);
    }
  };
  if (sequence !== undefined) await add([sequence, null, null]);
  for (const { relid, attnum } of roots) {
    for (const row of (await ask(COLUMNS, [relid, attnum])).rows) {
      const column = row as unknown as Column;
      columns.set(`${column.relid} ${column.attnum}`, column);
    }
    const [root] = columns.values();
    if (root !== undefined) await add([null, root.relid, root.attnum]);
  }
  return { columns: [...columns.values()], sequences: [...sequences.values()] };
}

interface Root {
  relid: number;
  attnum: number;
}

/** @throws PgdbaError invalid_param | step_refused when there is no such sequence or column */
export async function startingPoints(
  pg: PgSession,
  { sequence, table, column }: Wanted,
): Promise<Start> {
  if (sequence != null && (table != null || column != null))
    throw new PgdbaError("invalid_param", "A sequence and a column are both named", {
      hint: "Give the sequence, whose columns are found, or --table and --column.",
    });
  if (sequence != null) {
    const { schema, name } = relationName(sequence, "sequence");
    const { rows } = await pg.query(
      `SELECT c.oid::bigint::float8 AS oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind = 'S' AND c.relname = $2 AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $1 END`,
      [schema, name],
    );
    const oid = rows[0]?.["oid"];
    if (oid === undefined) throw refuse(`There is no sequence ${sequence} in this database`);
    const [found] = (await pg.ask(SEQUENCES, [oid, null, null])).rows;
    return { sequence: Number(oid), roots: (found?.["columns"] ?? []) as unknown as Root[] };
  }
  if (table == null || column == null)
    throw new PgdbaError("invalid_param", "Neither a sequence nor a column is named", {
      hint: "Give the sequence, such as public.orders_id_seq, or --table and --column.",
    });
  const { schema, name } = relationName(table, "table");
  const { rows } = await pg.query(
    `SELECT c.oid::bigint::float8 AS relid, a.attnum::int AS attnum
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
     WHERE c.relkind IN ('r', 'p') AND c.relname = $2 AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped
       AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $1 END`,
    [schema, name, relationName(column, "column").name],
  );
  if (rows[0] === undefined)
    throw refuse(`There is no column ${column} of a table ${table} in this database`);
  return { roots: rows as unknown as Root[] };
}

function refuse(message: string): PgdbaError {
  return new PgdbaError("step_refused", message, {
    hint: "`pgdba sequence list` names the sequences of a database with their columns; name the database with --database.",
  });
}
