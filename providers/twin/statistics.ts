import type { Client } from "pg";
import type { Catalogue, Limit, Relation } from "./catalog.ts";

/** Rows sent at once: a hundred most common values of a hundred bytes are 10 kB a column. */
const BATCH = 500;

const RELATIONS = `SELECT r.schema, r.name, pg_restore_relation_stats('schemaname', r.schema, 'relname', r.name, 'relpages', r.relpages,
    'reltuples', r.reltuples, 'relallvisible', r.relallvisible) AS ok
  FROM jsonb_to_recordset($1::text::jsonb) AS r(schema text, name text, relpages int, reltuples real, relallvisible int)
  WHERE to_regclass(format('%I.%I', r.schema, r.name)) IS NOT NULL`;

const COLUMNS = `SELECT s.schemaname AS schema, s.tablename || '.' || s.attname AS name, pg_restore_attribute_stats(
    'schemaname', s.schemaname, 'relname', s.tablename, 'attname', s.attname, 'inherited', s.inherited, 'null_frac', s.null_frac,
    'avg_width', s.avg_width, 'n_distinct', s.n_distinct, 'most_common_vals', s.most_common_vals, 'most_common_freqs', s.most_common_freqs::real[],
    'histogram_bounds', s.histogram_bounds, 'correlation', s.correlation, 'most_common_elems', s.most_common_elems,
    'most_common_elem_freqs', s.most_common_elem_freqs::real[], 'elem_count_histogram', s.elem_count_histogram::real[],
    'range_length_histogram', s.range_length_histogram, 'range_empty_frac', s.range_empty_frac, 'range_bounds_histogram', s.range_bounds_histogram) AS ok
  FROM jsonb_to_recordset($1::text::jsonb) AS s(schemaname text, tablename text, attname text, inherited boolean, null_frac real, avg_width int,
    n_distinct real, most_common_vals text, most_common_freqs text, histogram_bounds text, correlation real, most_common_elems text,
    most_common_elem_freqs text, elem_count_histogram text, range_length_histogram text, range_empty_frac real, range_bounds_histogram text)
  JOIN pg_attribute a ON a.attrelid = to_regclass(format('%I.%I', s.schemaname, s.tablename)) AND a.attname = s.attname`;

/** Gives the twin's tables, indexes and columns the statistics that `catalogue` has of them. What it refuses is reported. */
export async function restoreStatistics(client: Client, catalogue: Catalogue): Promise<Limit[]> {
  const old = catalogue.version_num < 140_000;
  const relations = [
    ...catalogue.relations
      .filter((relation) => relation.kind !== "v" && relation.kind !== "f")
      .map((relation) => figures(relation, old)),
    ...catalogue.indexes
      .filter((index) => index.valid)
      .map((index) => figures({ ...index, relallvisible: 0 }, old)),
  ];
  const refused = [
    ...(await inBatches(client, RELATIONS, relations)),
    ...(await inBatches(client, COLUMNS, catalogue.statistics)),
  ];
  return refused.map(({ schema, name }) => ({
    object: `${schema}.${name}`,
    reason: "its statistics do not fit PostgreSQL 18",
  }));
}

/** What pg_class says of a relation's size. */
export type Figures = Pick<
  Relation,
  "schema" | "name" | "relpages" | "reltuples" | "relallvisible"
>;

export async function restoreFigures(client: Client, rows: readonly Figures[]): Promise<void> {
  await inBatches(client, RELATIONS, rows);
}

/** Up to 13 a table that was never analyzed had 0 rows, since then it has -1. */
function figures(
  { schema, name, relpages, reltuples, relallvisible }: Figures,
  old: boolean,
): Figures {
  return {
    schema,
    name,
    relpages,
    reltuples: old && relpages === 0 && reltuples === 0 ? -1 : reltuples,
    relallvisible,
  };
}

async function inBatches(
  client: Client,
  sql: string,
  rows: readonly object[],
): Promise<{ schema: string; name: string }[]> {
  const refused: { schema: string; name: string }[] = [];
  for (let at = 0; at < rows.length; at += BATCH) {
    const result = await client.query<{ schema: string; name: string; ok: boolean }>(sql, [
      JSON.stringify(rows.slice(at, at + BATCH)),
    ]);
    refused.push(...result.rows.filter((row) => !row.ok));
  }
  return refused;
}
