import type { Client } from "pg";
import type { OrdinaryUser } from "../embedded/user.ts";
import type { Catalogue, ColumnStatistics, Relation } from "./catalog.ts";
import { one } from "./database.ts";
import { quoteIdent, quoteName } from "./names.ts";
import { type PlanNode, planOf } from "./plan.ts";
import { btreeHeight, btreePages, growFile, PAGE, setFirstSegment, writeBtree } from "./sizes.ts";

/** One key of an index. */
export interface IndexKey {
  /** The column, or null for an expression. */
  column: string | null;
  /** SQL of the key: the quoted column, or the expression in parentheses. */
  sql: string;
  /** Operator class and order, as they follow the key: `gin_trgm_ops`, `DESC`. */
  suffix?: string;
}

/** An index that may be made. */
export interface IndexDef {
  schema: string;
  table: string;
  /** Access method: btree, gin, gist, brin, hash. */
  method: string;
  keys: readonly IndexKey[];
  include: readonly string[];
  /** SQL of the predicate, for a partial index. */
  where: string | null;
}

/** The definition behind `CREATE INDEX name `: equal for equal indexes. */
export function indexSql(def: IndexDef): string {
  const keys = def.keys
    .map((key) => (key.suffix === undefined ? key.sql : `${key.sql} ${key.suffix}`))
    .join(", ");
  const include =
    def.include.length === 0 ? "" : ` INCLUDE (${def.include.map(quoteIdent).join(", ")})`;
  const where = def.where === null ? "" : ` WHERE ${def.where}`;
  return `ON ${quoteName(def.schema, def.table)} USING ${quoteIdent(def.method)} (${keys})${include}${where}`;
}

/** A hypothetical index that stands in the twin, valid or not. */
export interface Hypothetical {
  /** Its name in plans, and those of its parts on the partitions. */
  names: string[];
  /** The index and, on a partitioned table, those of its partitions. */
  oids: number[];
  bytes: number;
  tuples: number;
}

/** What making an index needs of the twin. */
export interface Workshop {
  client: Client;
  user: OrdinaryUser | null;
  catalogue: Catalogue;
  /** The file of each stored table by `schema.name`, and its pages. */
  files: ReadonlyMap<string, { path: string; pages: number }>;
  pathOf(relative: string): string;
  /** A name that no index of the twin has. */
  newName(): string;
}

/**
 * Makes an index without reading a row: the files of its tables look empty while the server builds it, and get back their sizes
 * when it has. Its own file is made as large as the index would be. About 4 ms for an index of one table.
 * @throws the server's error when the definition is not valid
 */
export async function makeIndex(shop: Workshop, def: IndexDef): Promise<Hypothetical> {
  const { client, catalogue } = shop;
  const table = catalogue.relations.find(
    (relation) => relation.schema === def.schema && relation.name === def.table,
  );
  const leaves = table === undefined ? [] : leavesOf(catalogue, table);
  const shape = await shapeOf(client, def);
  const width = table === undefined ? shape.width : tupleWidth(catalogue, table, def, shape.width);
  const all = leaves.reduce((sum, leaf) => sum + Math.max(0, leaf.reltuples), 0);
  const share = all === 0 ? 1 : Math.min(1, shape.rows / all);
  const name = shop.newName();
  const files = leaves.flatMap((leaf) => shop.files.get(`${leaf.schema}.${leaf.name}`) ?? []);
  for (const file of files) await setFirstSegment(file.path, 0);
  try {
    await one(client, `CREATE INDEX ${name} ${indexSql(def)}`);
  } finally {
    for (const file of files) await setFirstSegment(file.path, file.pages);
  }
  const { rows } = await client.query<{
    oid: number;
    schema: string;
    name: string;
    path: string | null;
    relid: string;
  }>(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, pg_relation_filepath(c.oid) AS path,
       format('%s.%s', tn.nspname, t.relname) AS relid
     FROM pg_partition_tree($1::regclass) p RIGHT JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
     WHERE p.relid IS NOT NULL OR c.oid = $1::regclass`,
    [quoteName(def.schema, name)],
  );
  let bytes = 0;
  let tuples = 0;
  for (const row of rows) {
    const leaf = leaves.find((relation) => `${relation.schema}.${relation.name}` === row.relid);
    if (row.path === null || leaf === undefined) continue;
    const rowsHere = Math.max(0, leaf.reltuples) * share;
    const pages = pagesOf(catalogue, leaf, def, rowsHere, width);
    const path = shop.pathOf(row.path);
    if (def.method === "btree" && pages > 1)
      await writeBtree(path, Math.min(pages - 2, btreeHeight(pages, width)));
    await growFile(path, pages, shop.user);
    await client.query(
      "SELECT pg_restore_relation_stats('schemaname', $1::text, 'relname', $2::text, 'relpages', $3::int, 'reltuples', $4::real)",
      [row.schema, row.name, pages, rowsHere],
    );
    bytes += pages * PAGE;
    tuples += rowsHere;
  }
  return { names: rows.map((row) => row.name), oids: rows.map((row) => row.oid), bytes, tuples };
}

function leavesOf(catalogue: Catalogue, table: Relation): Relation[] {
  if (table.kind !== "p") return [table];
  return catalogue.relations
    .filter((relation) => relation.parents.includes(table.oid))
    .flatMap((child) => leavesOf(catalogue, child));
}

/** Rows that the index would hold and their average width, as the planner sees them. */
async function shapeOf(client: Client, def: IndexDef): Promise<{ rows: number; width: number }> {
  const list = [...def.keys.map((key) => key.sql), ...def.include.map(quoteIdent)].join(", ");
  const where = def.where === null ? "" : ` WHERE ${def.where}`;
  const { rows } = await one(
    client,
    `EXPLAIN (FORMAT JSON) SELECT ${list} FROM ${quoteName(def.schema, def.table)}${where}`,
  );
  const plan: PlanNode = planOf(rows);
  return { rows: plan["Plan Rows"], width: plan["Plan Width"] };
}

/** Types that are aligned within a tuple, with the bytes; others, and short texts, follow on without a gap. */
const ALIGNED: readonly [RegExp, number][] = [
  [/^(bigint|double precision|timestamp|time|interval|money)/, 8],
  [/^(integer|real|date|oid)$/, 4],
  [/^smallint$/, 2],
];

/** Bytes of an entry's columns with the gaps between them; `sum` is their width without gaps, expressions included. */
function tupleWidth(catalogue: Catalogue, table: Relation, def: IndexDef, sum: number): number {
  let known = 0;
  let width = 0;
  for (const name of [...def.keys.map((key) => key.column), ...def.include]) {
    const type =
      catalogue.columns.find((column) => column.relid === table.oid && column.name === name)
        ?.type ?? "";
    const row = catalogue.statistics.find(
      (one) =>
        one.schemaname === table.schema && one.tablename === table.name && one.attname === name,
    );
    if (name === null || row === undefined) continue;
    const alignment = ALIGNED.find(([pattern]) => pattern.test(type))?.[1] ?? 1;
    width = Math.ceil(width / alignment) * alignment + row.avg_width;
    known += row.avg_width;
  }
  return width + Math.max(0, sum - known);
}

/** Types whose equal values may differ in their bytes, so that entries are never shared (nbtutils.c, _bt_allequalimage). */
const NOT_DEDUPLICATED = /^(numeric|real|double precision|jsonb|.*\[\])/;
/** Bytes of an element in a posting list of a GIN index: varbyte-encoded differences, mostly one or two, and page overhead. */
const GIN_ITEM = 3;

function pagesOf(
  catalogue: Catalogue,
  leaf: Relation,
  def: IndexDef,
  tuples: number,
  width: number,
): number {
  if (tuples <= 0) return 1;
  const columns = catalogue.columns.filter((column) => column.relid === leaf.oid);
  const statistics = def.keys.map((key) =>
    catalogue.statistics.find(
      (row) =>
        row.schemaname === leaf.schema &&
        row.tablename === leaf.name &&
        row.attname === key.column &&
        !row.inherited,
    ),
  );
  if (def.method === "brin") return 3;
  if (def.method === "hash") return Math.ceil((tuples * 20) / (PAGE * 0.75)) + 2;
  if (def.method === "gin") {
    const items = statistics.reduce((sum, row) => sum + elementsOf(row, def), 0);
    return Math.ceil((tuples * Math.max(1, items) * GIN_ITEM) / (PAGE * LOOSE_FILL)) + 2;
  }
  const types = def.keys.map(
    (key) => columns.find((column) => column.name === key.column)?.type ?? "",
  );
  const shared =
    def.include.length === 0 &&
    types.every((type) => type !== "" && !NOT_DEDUPLICATED.test(type)) &&
    statistics.every((row) => row !== undefined);
  const distinct = shared
    ? Math.min(
        tuples,
        statistics.reduce((product, row) => product * distinctOf(row, leaf.reltuples), 1),
      )
    : undefined;
  const pages = btreePages({ tuples, width, distinct });
  return def.method === "btree" ? pages : Math.ceil(pages * 1.3);
}

const LOOSE_FILL = 0.75;

/** Distinct values of a column; pg_stats has them negative as a share of the rows. */
export function distinctOf(row: ColumnStatistics | undefined, tuples: number): number {
  const n = row?.n_distinct ?? 0;
  return n < 0 ? -n * tuples : n === 0 ? Math.min(200, tuples) : n;
}

/** Elements of an average value: counted for arrays, a trigram for each character of a text, a guess from the width otherwise. */
function elementsOf(row: ColumnStatistics | undefined, def: IndexDef): number {
  const counted = /([\d.]+)\}$/.exec(String(row?.["elem_count_histogram"] ?? ""))?.[1];
  if (counted !== undefined) return Number(counted);
  const width = row?.avg_width ?? 32;
  return def.keys.some((key) => key.suffix?.includes("trgm")) ? width : width / 8;
}
