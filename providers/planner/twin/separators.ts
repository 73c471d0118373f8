import type { Catalogue, ColumnStatistics, Relation } from "./catalogue.ts";

/** The width of a column of which nothing is known. */
const UNKNOWN_WIDTH = 8;
/** A heap tuple's address, aligned: what tells equal keys apart (nbtutils.c, _bt_truncate). */
const HEAP_TID = 8;

const byColumn = new WeakMap<Catalogue, ReadonlyMap<string, ColumnStatistics>>();

/** The statistics of a column's own rows, not those of its table's children. */
export function columnStatistics(
  catalogue: Catalogue,
  table: Pick<Relation, "schema" | "name">,
  column: string,
): ColumnStatistics | undefined {
  let known = byColumn.get(catalogue);
  if (known === undefined) {
    // A partitioned table may only have the statistics of its children; its own ones come last, and win.
    const rows = catalogue.statistics.toSorted((a, b) => Number(b.inherited) - Number(a.inherited));
    known = new Map(
      rows.map((row) => [JSON.stringify([row.schemaname, row.tablename, row.attname]), row]),
    );
    byColumn.set(catalogue, known);
  }
  return known.get(JSON.stringify([table.schema, table.name, column]));
}

/** Distinct values of a column; pg_stats has them negative as a share of the rows. */
export function distinctOf(row: ColumnStatistics | undefined, tuples: number): number {
  const n = row?.n_distinct ?? 0;
  return n < 0 ? -n * tuples : n === 0 ? Math.min(200, tuples) : n;
}

/**
 * Bytes of a key on the upper levels of a B-tree of so many pages: as many of the columns as it takes to tell the leaves apart, the rest
 * is cut off (suffix truncation, nbtutils.c); where equal keys fill more than a leaf, their rows' addresses stand behind them.
 * @param keys the columns, null for an expression
 */
export function separatorWidth(
  catalogue: Catalogue,
  table: Pick<Relation, "schema" | "name" | "reltuples">,
  keys: readonly (string | null)[],
  pages: number,
): number {
  let width = 0;
  let distinct = 1;
  for (const key of keys) {
    const row = key === null ? undefined : columnStatistics(catalogue, table, key);
    width += row?.avg_width ?? UNKNOWN_WIDTH;
    distinct *= distinctOf(row, Math.max(1, table.reltuples));
    if (distinct >= pages) return width;
  }
  return Math.ceil(width / 8) * 8 + HEAP_TID;
}
