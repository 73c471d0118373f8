import type { TableName } from "./catalogue.ts";
import { NAMED, REACHED, type Read } from "./read-catalogue.ts";

/** A table that nobody can look at for now. */
export interface Locked {
  /** The name that was asked for. */
  asked: TableName;
  /** The locked table: itself, a partition, or what a view selects from. */
  table: string;
  /** Backends that hold or wait for the lock; null for a prepared transaction. */
  pids: (number | null)[];
}

/**
 * Reading a table's size, a view's text, and planning wait for an ACCESS EXCLUSIVE lock, also for one that is still waited for: who
 * comes later queues behind it. A lock on an index (REINDEX) counts as one on its table.
 */
const LOCKED = `WITH RECURSIVE scope(nth, oid) AS (
    SELECT x.nth, x.oid FROM unnest($1::oid[]) WITH ORDINALITY AS x(oid, nth) WHERE x.oid IS NOT NULL
  UNION
    SELECT s.nth, x.oid FROM scope s CROSS JOIN LATERAL (${REACHED}) x),
  locked AS (
    SELECT coalesce(i.indrelid, l.relation) AS oid, l.pid FROM pg_locks l LEFT JOIN pg_index i ON i.indexrelid = l.relation
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid()
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
  SELECT s.nth::int AS nth, format('%s.%s', n.nspname, c.relname) AS "table", array_agg(DISTINCT l.pid) AS pids
  FROM scope s JOIN locked l ON l.oid = s.oid JOIN pg_class c ON c.oid = s.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  GROUP BY s.nth, n.nspname, c.relname ORDER BY s.nth, 2`;

/** The tables, of those that are named, which can't be read without waiting for somebody. */
export async function readLocked(read: Read, tables: readonly TableName[]): Promise<Locked[]> {
  const named = await read(NAMED, [
    tables.map(({ schema }) => schema),
    tables.map(({ name }) => name),
  ]);
  const rows = await read(LOCKED, [named.map(({ oid }) => oid)]);
  return rows.map(({ nth, table, pids }) => ({
    asked: tables[Number(nth) - 1] as TableName,
    table: String(table),
    pids: pids as (number | null)[],
  }));
}
