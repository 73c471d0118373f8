import type { Catalogue, ColumnStatistics, Relation } from "./catalogue.ts";
import type { IndexDef } from "./index-def.ts";
import { columnStatistics, distinctOf } from "./separators.ts";
import { type BtreeGroup, btreePages, PAGE } from "./sizes.ts";

/** Header of a heap tuple with its line pointer, and what a page has for them: storage/bufpage.h, access/htup_details.h. */
const HEAP_TUPLE = 28;
const HEAP_USABLE = 8168;

/** Rows of a table as it is now: those of the last ANALYZE by how much the file has grown since, or those the server has counted. */
export function rowsOf(catalogue: Catalogue, table: Relation): number {
  const pages = table.bytes / catalogue.block_size;
  if (table.reltuples > 0 && table.relpages > 0) return (table.reltuples * pages) / table.relpages;
  if (table.live > 0) return table.live;
  const widths = catalogue.columns
    .filter(({ relid }) => relid === table.oid)
    .map(({ type }) => fixedWidth(type) ?? UNKNOWN_WIDTH);
  const row = HEAP_TUPLE + widths.reduce((sum, width) => sum + width, 0);
  return Math.floor((pages * HEAP_USABLE) / row);
}

/** True when the number of its rows is only guessed. */
export function isUnanalysed(table: Pick<Relation, "reltuples" | "relpages" | "bytes">): boolean {
  return table.bytes > 0 && (table.reltuples < 0 || table.relpages === 0);
}

/** get_typavgwidth (lsyscache.c) for what has no length of its own. */
const UNKNOWN_WIDTH = 32;
/** Types that are aligned within a tuple, with the bytes that each takes; others, and short texts, follow on without a gap. */
const FIXED: readonly [RegExp, number][] = [
  [/^(bigint|double precision|timestamp|time without|money|macaddr8)/, 8],
  [/^(integer|real|date|oid|reg\w+|xid|cid)$/, 4],
  [/^smallint$/, 2],
];
const UNALIGNED: readonly [RegExp, number][] = [
  [/^interval/, 16],
  [/^time with time zone/, 12],
  [/^uuid$/, 16],
  [/^macaddr$/, 6],
  [/^name$/, 64],
  [/^(boolean|"char")$/, 1],
];

function alignmentOf(type: string): number {
  if (/^(interval|time with time zone)/.test(type)) return 8;
  return FIXED.find(([pattern]) => pattern.test(type))?.[1] ?? 1;
}

export function fixedWidth(type: string): number | undefined {
  return [...FIXED, ...UNALIGNED].find(([pattern]) => pattern.test(type))?.[1];
}

interface Shape {
  def: IndexDef;
  /** Rows that it holds. */
  tuples: number;
  /** The types of its columns. */
  types: readonly string[];
  expressionWidth: number | null;
}

/** Bytes of a column, on the average of what is not NULL. */
function columnWidth(catalogue: Catalogue, table: Relation, name: string): number {
  const row = columnStatistics(catalogue, table, name);
  if (row !== undefined) return row.avg_width;
  const columns = catalogue.columns.filter(({ relid }) => relid === table.oid);
  const type = columns.find((column) => column.name === name)?.type ?? "";
  const fixed = fixedWidth(type);
  if (fixed !== undefined) return fixed;
  // The bytes that rows need beyond their columns of fixed width are shared among the other columns.
  const rows = rowsOf(catalogue, table);
  const others = columns.filter((column) => fixedWidth(column.type) === undefined).length;
  const known = columns.reduce((sum, column) => sum + (fixedWidth(column.type) ?? 0), HEAP_TUPLE);
  const row_bytes = ((table.bytes / catalogue.block_size) * HEAP_USABLE) / Math.max(1, rows);
  return rows === 0 ? UNKNOWN_WIDTH : Math.max(4, (row_bytes - known) / Math.max(1, others));
}

/** Bytes of an entry's columns with the gaps between them. */
function entryWidth(catalogue: Catalogue, table: Relation, shape: Shape): number {
  const { def, types, expressionWidth } = shape;
  const expressions = def.keys.filter(({ column }) => column === null).length;
  let width = 0;
  const names = [...def.keys.map(({ column }) => column), ...def.include];
  for (const [at, name] of names.entries()) {
    const type = types[at] ?? "";
    const alignment = alignmentOf(type);
    const own =
      name === null
        ? expressionBytes(catalogue, table, def, (expressionWidth ?? UNKNOWN_WIDTH) / expressions)
        : columnWidth(catalogue, table, name);
    width = Math.ceil(width / alignment) * alignment + (fixedWidth(type) ?? own);
  }
  return width;
}

/** An expression on a column seldom gives more than the column holds. */
function expressionBytes(
  catalogue: Catalogue,
  table: Relation,
  def: IndexDef,
  planned: number,
): number {
  const widths = columnsIn(catalogue, table, def).map((name) =>
    columnWidth(catalogue, table, name),
  );
  return widths.length === 0 ? planned : Math.min(planned, Math.max(...widths));
}

/** Columns of the table whose names stand in the expressions of an index. */
function columnsIn(catalogue: Catalogue, table: Relation, def: IndexDef): string[] {
  const texts = def.keys.filter(({ column }) => column === null).map(({ sql }) => sql);
  return catalogue.columns
    .filter(({ relid }) => relid === table.oid)
    .map(({ name }) => name)
    .filter((name) =>
      texts.some((text) =>
        new RegExp(`(?<![\\w"])"?${RegExp.escape(name)}"?(?![\\w"])`).test(text),
      ),
    );
}

/** Types whose equal values may differ in their bytes, so that entries are never shared (nbtutils.c, _bt_allequalimage). */
const NOT_DEDUPLICATED = /^(numeric|real|double precision|jsonb|interval|.*range$|.*\[\])/;
/** The planner never estimates fewer combinations of several columns than this share of the rows (estimate_num_groups, selfuncs.c). */
const COMBINED = 0.1;

/** How often a value repeats in a column of which nothing is known. */
const UNKNOWN_REPEATS = 4;
/** Expressions that give the same for many values, and for how many if nothing else is known: as the planner has it (DEFAULT_NUM_DISTINCT). */
const COARSE =
  /\b(date_trunc|extract|date_part|date|left|substr|substring|floor|round)\(|%|AS (pg_catalog\.)?"?date\b/i;
const SOME_VALUES = 200;

/** At this ratio of possible combinations to rows, the columns are as likely independent as dependent. */
const EVEN = 5;
/** The weight of the estimate that takes a time to be independent of the other columns. */
const TIMELY = 0.75;
/** Values of a column that is a state or a flag. */
const STATES = 10;

/** Pages of an index. */
export function indexPages(catalogue: Catalogue, table: Relation, shape: Shape): number {
  const { def, tuples, types } = shape;
  if (tuples <= 0) return 1;
  if (def.method === "brin") return 3;
  if (def.method === "hash") return hashPages(tuples, distinctIn(catalogue, table, shape));
  if (def.method === "gin") return ginPages(catalogue, table, shape);
  const width = entryWidth(catalogue, table, shape);
  const shares =
    def.include.length === 0 && types.every((type) => type !== "" && !NOT_DEDUPLICATED.test(type));
  const pages = btreePages(width, shares ? groupsOf(catalogue, table, shape) : [{ tuples }]);
  return def.method === "btree" ? pages : Math.ceil(pages * 1.3);
}

/** Bytes of an index on columns of all rows; null where only the planner can tell. */
export function estimatedBytes(catalogue: Catalogue, def: IndexDef): number | null {
  const table = catalogue.relations.find(
    (relation) => relation.schema === def.schema && relation.name === def.table,
  );
  const names = [...def.keys.map(({ column }) => column), ...def.include];
  if (table === undefined || def.where !== null || names.includes(null)) return null;
  const types = names.map(
    (name) =>
      catalogue.columns.find((column) => column.relid === table.oid && column.name === name)
        ?.type ?? "",
  );
  return leavesOf(catalogue, table).reduce((bytes, leaf) => {
    const shape = { def, tuples: rowsOf(catalogue, leaf), types, expressionWidth: null };
    return bytes + PAGE * indexPages(catalogue, leaf, shape);
  }, 0);
}

/** The tables that hold the rows of a partitioned one; of another itself. */
export function leavesOf(catalogue: Catalogue, table: Relation): Relation[] {
  if (table.kind !== "p") return [table];
  return catalogue.relations
    .filter((relation) => relation.parents.includes(table.oid))
    .flatMap((child) => leavesOf(catalogue, child));
}

/** Entries by how often their keys repeat: those that are NULL are all the same. */
function groupsOf(catalogue: Catalogue, table: Relation, shape: Shape): BtreeGroup[] {
  const { def, tuples } = shape;
  const nulls = def.keys.map(({ column }) =>
    column === null ? 0 : (columnStatistics(catalogue, table, column)?.null_frac ?? 0),
  );
  // The rows in which all of them are NULL: as many as can be, since columns that belong together are NULL together.
  const empty = tuples * Math.min(...nulls);
  const rest = tuples - empty;
  const distinct = Math.min(rest, distinctIn(catalogue, table, { ...shape, tuples: rest }));
  return [
    { tuples: rest, distinct },
    { tuples: empty, distinct: 1, isNull: true },
  ];
}

/** The number of different keys: known for one column, and for several with extended statistics or a unique index. */
function distinctIn(catalogue: Catalogue, table: Relation, { def, tuples, types }: Shape): number {
  const rows = Math.max(tuples, rowsOf(catalogue, table));
  const names = def.keys.flatMap(({ column }) => column ?? columnsIn(catalogue, table, def));
  const numbers = names.map(
    (name) =>
      catalogue.columns.find((column) => column.relid === table.oid && column.name === name)?.num ??
      0,
  );
  const isUnique = catalogue.indexes.some(
    (index) =>
      index.relid === table.oid &&
      index.unique &&
      index.predicate === null &&
      index.expressions === null &&
      index.columns.slice(0, index.key_columns).every((num) => numbers.includes(num)),
  );
  if (isUnique) return tuples;
  const known = catalogue.combinations.find(
    ({ relid, columns }) =>
      relid === table.oid &&
      columns.length === new Set(numbers).size &&
      columns.every((num) => numbers.includes(num)),
  );
  if (known !== undefined)
    return Math.min(tuples, known.distinct < 0 ? -known.distinct * rows : known.distinct);
  const each = names.map((name) => {
    const row = columnStatistics(catalogue, table, name);
    return row === undefined ? rows / UNKNOWN_REPEATS : distinctOf(row, rows);
  });
  if (def.keys.some(({ column, sql }) => column === null && COARSE.test(sql)))
    return Math.min(tuples, Math.sqrt(SOME_VALUES * Math.max(1, ...each)));

  // Things happen at any time: a time has little to do with what else there is.
  const isTime = (at: number): boolean => /^(date|timestamp)/.test(types[at] ?? "");
  const times = each.filter((_, at) => isTime(at)).reduce((all, one) => all * one, 1);
  const others = combined(
    each.filter((_, at) => !isTime(at)),
    tuples,
  );
  const most = Math.max(...each);
  if (times === 1) return Math.min(tuples, Math.max(most, others));
  const apart = Math.max(most, drawn(others * times, tuples));
  return Math.min(tuples, between(apart, Math.max(COMBINED * tuples, most), TIMELY));
}

/** A number between two that differ by a factor: `weight` is that of the first. */
function between(apart: number, together: number, weight: number): number {
  return apart ** weight * Math.min(apart, together) ** (1 - weight);
}

/** The number of different values among `rows` rows that draw from `values` values at random. */
function drawn(values: number, rows: number): number {
  return values * -Math.expm1(-rows / values);
}

/** The combinations of columns when only the number of values of each is known. */
function combined(each: readonly number[], rows: number): number {
  const [most = 1, ...others] = each.toSorted((a, b) => b - a);
  if (others.length === 0) return most;
  // Each further column tells fewer apart than if it had nothing to do with those before it, unless it is a state that comes and goes.
  const tells = (values: number, at: number): number =>
    values <= STATES ? values : values ** (1 / 2 ** (at + 1));
  const product = others.reduce((all, one, at) => all * tells(one, at), most);
  const apart = Math.max(most, drawn(product, rows));
  // The more combinations there could be than rows, the less likely is it that they repeat.
  const weight = Math.max(0.5, product / (product + EVEN * rows));
  return between(apart, Math.max(COMBINED * rows, most), weight);
}

/** hash.h, hashpage.c: buckets are made for so many entries of 20 bytes, in powers of two, from 512 on in quarters of them. */
const HASH_ENTRY = 20;
const HASH_FILL = 0.75;
const PHASES_FROM = 512;

function hashPages(tuples: number, distinct: number): number {
  const entries = Math.floor((PAGE * HASH_FILL) / HASH_ENTRY);
  const wanted = Math.max(2, tuples / entries);
  const power = 2 ** Math.ceil(Math.log2(wanted));
  const quarter = power / 8;
  const buckets =
    power <= PHASES_FROM ? power : power / 2 + Math.ceil((wanted - power / 2) / quarter) * quarter;
  // Equal values stay in one bucket, however many there are.
  const used = Math.min(buckets, Math.max(1, distinct));
  const perPage = Math.floor((PAGE - 40) / HASH_ENTRY);
  const overflow = used * Math.max(0, Math.ceil(tuples / used / perPage) - 1);
  return Math.ceil(buckets + overflow) + 2;
}

/** Bytes of an element in a posting list of a GIN index: varbyte-encoded differences, mostly one or two, and page overhead. */
const GIN_ITEM = 3;
/** The bytes of one element of a document; many elements stand in no other document. */
const GIN_OWN_ITEM = 25;
const LOOSE_FILL = 0.75;

function ginPages(catalogue: Catalogue, table: Relation, { def, tuples }: Shape): number {
  const type = catalogue.columns.find(
    ({ relid, name }) => relid === table.oid && name === def.keys[0]?.column,
  )?.type;
  const isDocument = type === "jsonb" || type === "hstore";
  const items = def.keys.reduce((sum, { column, suffix }) => {
    const row = column === null ? undefined : columnStatistics(catalogue, table, column);
    return sum + elementsOf(row, suffix);
  }, 0);
  const item = isDocument ? GIN_OWN_ITEM : GIN_ITEM;
  return Math.ceil((tuples * Math.max(1, items) * item) / (PAGE * LOOSE_FILL)) + 2;
}

/** Elements of an average value: counted for arrays, a trigram for each character of a text, a guess from the width otherwise. */
function elementsOf(row: ColumnStatistics | undefined, suffix: string | undefined): number {
  const counted = /([\d.]+)\}$/.exec(String(row?.["elem_count_histogram"] ?? ""))?.[1];
  if (counted !== undefined) return Number(counted);
  const width = row?.avg_width ?? UNKNOWN_WIDTH;
  return suffix?.includes("trgm") === true ? width : width / 20;
}
