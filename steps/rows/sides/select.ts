import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import type { Row } from "./side.ts";
import { type Column, fromClause, type Pair, type Table } from "./table.ts";

/** A value that is wider is compared by its hash, so that a row that is read has a bounded size. */
const WIDE = 100;
/** Bytes of rows that are asked for at once. */
const BATCH_BYTES = 8 * 1024 * 1024;

export interface Reading {
  /** A database of encoding SQL_ASCII on either side: its texts may be any bytes, which no client can show. */
  bytes: boolean;
  where: string | null;
}

/**
 * Reads the rows of one side in the order of the key: `k0…` its columns, `row` the columns that both have as a JSON list of texts, `at` and `part` the
 * place of the row. Every server sorts integers alike, and bytes: a text is sorted by its bytes in UTF-8, since collations differ.
 */
export function selectOf(pair: Pair, side: "here" | "there", { bytes, where }: Reading): string {
  const table = pair[side];
  const keys = pair.key.map((name, at) => {
    const column = quoteIdent(name);
    return `${pair.whole[at] ? column : `${sortable(column, bytes)} COLLATE "C"`} AS k${at}`;
  });
  const values = pair.columns.map((name) => comparable(columnOf(table, name), pair, bytes));
  const row = `pg_catalog.to_json(ARRAY[${values.join(", ")}]::pg_catalog.text[])::pg_catalog.text AS "row"`;
  const place = `ctid::pg_catalog.text AS at, tableoid::pg_catalog.text AS part`;
  return `SELECT ${[...keys, row, place].join(", ")} FROM ${fromClause(table)}${
    where === null ? "" : ` WHERE (${where}\n)`
  } ORDER BY ${keys.map((_, at) => at + 1).join(", ")}`;
}

export const columnOf = ({ columns }: Table, name: string): Column =>
  columns.find((column) => column.name === name)!;

export const textOf = (name: string): string => `${quoteIdent(name)}::pg_catalog.text`;

/** Rows that are read at once. */
export function batchOf({ columns }: Pair): number {
  const width = (columns.length + 2) * WIDE;
  return Math.max(20, Math.min(2_000, Math.floor(BATCH_BYTES / width)));
}

const encoded = (text: string, bytes: boolean): string =>
  `pg_catalog.convert_to(${text}, '${bytes ? "SQL_ASCII" : "UTF8"}')`;

const sortable = (column: string, bytes: boolean): string =>
  `pg_catalog.encode(${encoded(`${column}::pg_catalog.text`, bytes)}, 'hex')`;

/** Whether it is wide must be told alike on both sides, whose types may differ. */
function comparable(column: Column, pair: Pair, bytes: boolean): string {
  const text = textOf(column.name);
  const isShort = [pair.here, pair.there].every((table) => columnOf(table, column.name).short);
  if (isShort) return text;
  const hash = `'#' || pg_catalog.encode(pg_catalog.sha256(${encoded(text, bytes)}), 'hex')`;
  const length = `pg_catalog.octet_length(${encoded(text, bytes)})`;
  return `CASE WHEN ${length} > ${bytes ? 0 : WIDE} THEN ${hash} ELSE ${text} END`;
}

/** The key as it is shown. */
export function shownKey(pair: Pair, row: Row): Record<string, string> {
  return Object.fromEntries(
    pair.key.map((name, at) => {
      const text = String(row[`k${at}`]);
      return [name, pair.whole[at] ? text : Buffer.from(text, "hex").toString()];
    }),
  );
}
