import type { Client } from "pg";
import type { OrdinaryUser } from "../embedded/user.ts";
import type { Catalogue, ColumnStatistics, Relation } from "./catalog.ts";
import { one } from "./database.ts";
import { quoteIdent, quoteName } from "./names.ts";
import { type PlanNode, planOf } from "./plan.ts";
import { columnStatistics, distinctOf, separatorWidth } from "./separators.ts";
import { btreeHeight, btreePages, growFile, PAGE, setFirstSegment, writeBtree } from "./sizes.ts";
import type { Figures, FiguresWriter } from "./statistics.ts";

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

const texts = new WeakMap<IndexDef, string>();

/** The definition behind `CREATE INDEX name `: equal for equal indexes. */
export function indexSql(def: IndexDef): string {
  let text = texts.get(def);
  if (text === undefined) {
    text = write(def);
    texts.set(def, text);
  }
  return text;
}

function write(def: IndexDef): string {
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
  /** The server has such an index already. */
  duplicate: boolean;
}

/** What making an index needs of the twin. */
export interface Workshop {
  client: Client;
  /** Tells the server what relations' sizes are. */
  figures: FiguresWriter;
  user: OrdinaryUser | null;
  catalogue: Catalogue;
  /** The file of each stored table by `schema.name`, and its pages. */
  files: ReadonlyMap<string, { path: string; pages: number }>;
  pathOf(relative: string): string;
  /** A name that no index of the twin has. */
  newName(): string;
}

/**
 * Makes indexes without reading a row: the files of their tables look empty while the server builds them, and get back their sizes
 * when it has. Their own files are made as large as the indexes would be. About 2 ms an index of one table.
 * @returns for each the index, or the server's error when the definition is not valid
 */
export async function makeIndexes(
  shop: Workshop,
  defs: readonly IndexDef[],
): Promise<(Hypothetical | Error)[]> {
  const plans: (Build | Error)[] = [];
  for (const def of defs) plans.push(await planIndex(shop, def));
  const sound = plans.filter((plan): plan is Build => !(plan instanceof Error));
  const failed = await build(shop, sound);
  const made = sound.filter((plan) => !failed.has(plan));
  const parts = await partsOf(shop, made);
  const figures: Figures[] = [];
  const done = new Map<Build, Hypothetical>();
  for (const plan of made) {
    const index: Hypothetical = { names: [], oids: [], bytes: 0, tuples: 0, duplicate: false };
    for (const part of parts.get(plan) ?? []) {
      index.names.push(part.name);
      index.oids.push(part.oid);
      index.duplicate ||= part.duplicate;
      const leaf = plan.leaves.find(({ schema, name }) => `${schema}.${name}` === part.table);
      if (part.path === null || leaf === undefined) continue;
      const tuples = Math.max(0, leaf.reltuples) * plan.share;
      const pages = pagesOf(shop.catalogue, leaf, plan.def, tuples, plan.width);
      const path = shop.pathOf(part.path);
      if (plan.def.method === "btree" && pages > 1) {
        const keys = plan.def.keys.map((key) => key.column);
        const width = separatorWidth(shop.catalogue, leaf, keys, pages);
        await writeBtree(path, Math.min(pages - 2, btreeHeight(pages, width)));
      }
      await growFile(path, pages, shop.user);
      figures.push({
        schema: part.schema,
        name: part.name,
        relpages: pages,
        reltuples: tuples,
        relallvisible: 0,
      });
      index.bytes += pages * PAGE;
      index.tuples += tuples;
    }
    done.set(plan, index);
  }
  // A server before 18 has taken the tables for empty.
  const tables = new Set(shop.figures.lost ? made.flatMap((plan) => plan.leaves) : []);
  for (const { schema, name, relpages, reltuples, relallvisible } of tables)
    figures.push({ schema, name, relpages, reltuples, relallvisible });
  await shop.figures.write(figures);
  return plans.map((plan) =>
    plan instanceof Error ? plan : (done.get(plan) ?? failed.get(plan) ?? new Error("not made")),
  );
}

/** An index about to be made. */
interface Build {
  def: IndexDef;
  name: string;
  leaves: Relation[];
  /** Of the rows of its tables those that it holds. */
  share: number;
  width: number;
}

async function planIndex(shop: Workshop, def: IndexDef): Promise<Build | Error> {
  const { client, catalogue } = shop;
  const table = catalogue.relations.find(
    (relation) => relation.schema === def.schema && relation.name === def.table,
  );
  const leaves = table === undefined ? [] : leavesOf(catalogue, table);
  try {
    const known = table === undefined ? undefined : knownWidth(catalogue, table, def);
    const shape = known === undefined ? await shapeOf(client, def) : undefined;
    const all = leaves.reduce((sum, leaf) => sum + Math.max(0, leaf.reltuples), 0);
    const sum = shape?.width ?? known ?? 0;
    return {
      def,
      name: shop.newName(),
      leaves,
      share: shape === undefined || all === 0 ? 1 : Math.min(1, shape.rows / all),
      width: table === undefined ? sum : tupleWidth(catalogue, table, def, sum),
    };
  } catch (error) {
    return error as Error;
  }
}

/** Has the server build them on tables that look empty. Gives the errors of those that it refused. */
async function build(shop: Workshop, plans: readonly Build[]): Promise<Map<Build, Error>> {
  const failed = new Map<Build, Error>();
  const files = new Map(
    plans
      .flatMap((plan) => plan.leaves)
      .flatMap((leaf) => shop.files.get(`${leaf.schema}.${leaf.name}`) ?? [])
      .map((file) => [file.path, file]),
  );
  for (const file of files.values()) await setFirstSegment(file.path, 0);
  try {
    for (const plan of plans)
      await one(shop.client, `CREATE INDEX ${plan.name} ${indexSql(plan.def)}`).catch(
        (error: Error) => failed.set(plan, error),
      );
  } finally {
    for (const file of files.values()) await setFirstSegment(file.path, file.pages);
  }
  return failed;
}

interface Part {
  oid: number;
  schema: string;
  name: string;
  path: string | null;
  table: string;
  /** Another index of the table is the same but for its name. */
  duplicate: boolean;
}

/** Each index with those of its partitions. */
async function partsOf(
  { client, catalogue }: Workshop,
  made: readonly Build[],
): Promise<Map<Build, Part[]>> {
  const existing = new Set(
    catalogue.indexes.filter(({ valid }) => valid).map(({ schema, name }) => `${schema}.${name}`),
  );
  const { rows } = await client.query<Part & { nth: number }>(
    `SELECT x.nth::int AS nth, c.oid, n.nspname AS schema, c.relname AS name, pg_relation_filepath(c.oid) AS path,
       format('%s.%s', tn.nspname, t.relname) AS "table",
       EXISTS (SELECT FROM pg_index e JOIN pg_class ec ON ec.oid = e.indexrelid WHERE e.indrelid = i.indrelid AND e.indexrelid <> i.indexrelid
         AND ec.relam = c.relam AND format('%s.%s', n.nspname, ec.relname) = ANY ($3::text[]) AND e.indnkeyatts = i.indnkeyatts
         AND (e.indkey::text, e.indclass::text, e.indcollation::text, e.indoption::text) = (i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text)
         AND pg_get_expr(e.indexprs, e.indrelid) IS NOT DISTINCT FROM pg_get_expr(i.indexprs, i.indrelid)
         AND pg_get_expr(e.indpred, e.indrelid) IS NOT DISTINCT FROM pg_get_expr(i.indpred, i.indrelid)) AS duplicate
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS x(schema, name, nth)
     CROSS JOIN LATERAL (SELECT format('%I.%I', x.schema, x.name)::regclass AS oid) r
     CROSS JOIN LATERAL (SELECT r.oid UNION SELECT relid FROM pg_partition_tree(r.oid)) p(oid)
     JOIN pg_class c ON c.oid = p.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace`,
    [made.map((plan) => plan.def.schema), made.map((plan) => plan.name), [...existing]],
  );
  // A partition's own index that is the same becomes a part of the new one: it is there whatever is pretended.
  const own = rows.filter(({ schema, name }) => !existing.has(`${schema}.${name}`));
  const parts = Map.groupBy(own, ({ nth }) => nth);
  return new Map(made.map((plan, at) => [plan, parts.get(at + 1) ?? []]));
}

function leavesOf(catalogue: Catalogue, table: Relation): Relation[] {
  if (table.kind !== "p") return [table];
  return catalogue.relations
    .filter((relation) => relation.parents.includes(table.oid))
    .flatMap((child) => leavesOf(catalogue, child));
}

/** Bytes of the columns of an index on all rows; undefined where only the planner can tell. */
function knownWidth(catalogue: Catalogue, table: Relation, def: IndexDef): number | undefined {
  if (def.where !== null) return undefined;
  let sum = 0;
  for (const name of [...def.keys.map((key) => key.column), ...def.include]) {
    const row = name === null ? undefined : columnStatistics(catalogue, table, name);
    if (row === undefined) return undefined;
    sum += row.avg_width;
  }
  return sum;
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
    const row = name === null ? undefined : columnStatistics(catalogue, table, name);
    if (row === undefined) continue;
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
  const statistics = def.keys.map(({ column }) =>
    column === null ? undefined : columnStatistics(catalogue, leaf, column),
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

/** Elements of an average value: counted for arrays, a trigram for each character of a text, a guess from the width otherwise. */
function elementsOf(row: ColumnStatistics | undefined, def: IndexDef): number {
  const counted = /([\d.]+)\}$/.exec(String(row?.["elem_count_histogram"] ?? ""))?.[1];
  if (counted !== undefined) return Number(counted);
  const width = row?.avg_width ?? 32;
  return def.keys.some((key) => key.suffix?.includes("trgm")) ? width : width / 8;
}
