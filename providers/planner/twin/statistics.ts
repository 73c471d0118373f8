import type { Client } from "pg";
import type { Catalogue, Limit, Relation } from "./catalogue.ts";
import { writeColumns } from "./column-statistics.ts";
import type { Refusal } from "./column-statistics.ts";

/** Rows sent at once: a hundred most common values of a hundred bytes are 10 kB a column. */
const BATCH = 500;

const RELATIONS = `SELECT r.schema, r.name, pg_restore_relation_stats('schemaname', r.schema, 'relname', r.name, 'relpages', r.relpages,
    'reltuples', r.reltuples, 'relallvisible', r.relallvisible) AS ok
  FROM jsonb_to_recordset($1::text::jsonb) AS r(schema text, name text, relpages int, reltuples real, relallvisible int)
  WHERE to_regclass(format('%I.%I', r.schema, r.name)) IS NOT NULL`;

/** The same before 18, by a superuser. */
const CLASS = `WITH given AS (SELECT *, to_regclass(format('%I.%I', r.schema, r.name)) AS oid
    FROM jsonb_to_recordset($1::text::jsonb) AS r(schema text, name text, relpages int, reltuples real, relallvisible int)),
  done AS (UPDATE pg_class c SET relpages = g.relpages, reltuples = g.reltuples, relallvisible = g.relallvisible
    FROM given g WHERE c.oid = g.oid RETURNING c.oid)
  SELECT schema, name, true AS ok FROM given WHERE oid IS NOT NULL`;

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

/** The functions that restore statistics are there from here on. */
const RESTORES = 18;

interface Connections {
  /** As a superuser. */
  admin: Client;
  client: Client;
  version: number;
}

/** Gives the twin's tables, indexes and columns the statistics that `catalogue` has of them. What it refuses is reported. */
export async function restoreStatistics(
  { admin, client, version }: Connections,
  catalogue: Catalogue,
): Promise<Limit[]> {
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
    ...(await figuresWriter(version, admin, client).write(relations)),
    ...(version >= RESTORES
      ? await inBatches(client, COLUMNS, catalogue.statistics)
      : await writeColumns(admin, catalogue.statistics)),
  ];
  return refused.map(({ schema, name }) => ({
    object: `${schema}.${name}`,
    reason: `its statistics do not fit PostgreSQL ${version}`,
  }));
}

/** Tells a server how large its relations are. */
export interface FiguresWriter {
  /** True when the server forgets the figures of a table while it builds an index on it. */
  lost: boolean;
  /** Gives those that it refused. */
  write(rows: readonly Figures[]): Promise<Refusal[]>;
}

export function figuresWriter(version: number, admin: Client, client: Client): FiguresWriter {
  const lost = version < RESTORES;
  return {
    lost,
    write: (rows) => (lost ? inBatches(admin, CLASS, rows) : inBatches(client, RELATIONS, rows)),
  };
}

/** The size of a relation as pg_class has it. */
export type Figures = Pick<
  Relation,
  "schema" | "name" | "relpages" | "reltuples" | "relallvisible"
>;

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

async function inBatches(client: Client, sql: string, rows: readonly object[]): Promise<Refusal[]> {
  const refused: Refusal[] = [];
  for (let at = 0; at < rows.length; at += BATCH) {
    const result = await client.query<Refusal & { ok: boolean }>(sql, [
      JSON.stringify(rows.slice(at, at + BATCH)),
    ]);
    refused.push(...result.rows.filter((row) => !row.ok));
  }
  return refused;
}
