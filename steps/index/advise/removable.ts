import type { Catalogue } from "../../../providers/planner/twin/twin.ts";
import type { Sized } from "./candidate.ts";
import type { Deadline } from "./deadline.ts";
import type { Prover } from "./prover.ts";
import type { Activity } from "../workload/workload.ts";

type Index = Catalogue["indexes"][number];

export interface Removable {
  index: string;
  table: string;
  bytes: number;
  reason: string;
  /** Scans counted, and over how many days. */
  scans: number | null;
  days: number | null;
  statement: string;
}

/** Scans since the statistics began up to which an index counts as unused (PgHero). */
const UNUSED_SCANS = 50;
/** Counters younger than this say little: a report at the end of the month needs its index too. */
const UNUSED_DAYS = 7;
/** The workload may get dearer by this share when an index goes: rounding in costs. */
const TOLERANCE = 0.001;

/**
 * Indexes that exist and could go: those whose keys another one has in front, and those hardly ever scanned, each proved by planning
 * the whole workload without it (and without those found before it). Never one that a constraint, a replica identity or the checks of
 * a foreign key need.
 */
export async function findRemovable(
  prover: Prover,
  catalogue: Catalogue,
  chosen: readonly Sized[],
  { activity, deadline }: { activity: Activity; deadline?: Deadline },
): Promise<Removable[]> {
  if (!prover.hides) return [];
  const found: Removable[] = [];
  const without: string[] = [];
  const needed = new Set(catalogue.constraints.map((constraint) => constraint.index));
  let total = await prover.total(chosen);
  const open = catalogue.indexes.filter(
    (index) =>
      index.valid &&
      index.parent === 0 &&
      !index.unique &&
      !index.replica_identity &&
      !needed.has(index.oid),
  );
  const redundant = (index: Index): number =>
    coveredBy(index, catalogue, chosen, []) === null ? 0 : 1;
  for (const index of open.toSorted((a, b) => redundant(b) - redundant(a) || b.bytes - a.bytes)) {
    const table = catalogue.relations.find((relation) => relation.oid === index.relid);
    if (table === undefined || deadline?.passed === true) continue;
    const covering = coveredBy(index, catalogue, chosen, without);
    const scans = activity.scans.get(index.oid) ?? null;
    const counted = (activity.days ?? 0) >= UNUSED_DAYS && scans !== null && scans <= UNUSED_SCANS;
    if (
      covering === null &&
      !(counted && !index.partitioned && !servesForeignKey(index, catalogue))
    )
      continue;
    const name = `${index.schema}.${index.name}`;
    const cost = await prover.total(chosen, [...without, name]);
    if (cost > total * (1 + TOLERANCE)) continue;
    without.push(name);
    total = cost;
    found.push({
      index: name,
      table: `${table.schema}.${table.name}`,
      bytes: bytesOf(index, catalogue),
      reason: covering === null ? "unused" : `redundant: ${covering} begins with the same keys`,
      scans,
      days: activity.days,
      statement: index.partitioned
        ? `DROP INDEX ${quoted(index)}`
        : `DROP INDEX CONCURRENTLY ${quoted(index)}`,
    });
  }
  return found;
}

function quoted(index: Index): string {
  return [index.schema, index.name].map((name) => `"${name.replaceAll('"', '""')}"`).join(".");
}

function bytesOf(index: Index, catalogue: Catalogue): number {
  return (
    index.bytes +
    catalogue.indexes
      .filter((other) => other.parent === index.oid)
      .reduce((sum, other) => sum + bytesOf(other, catalogue), 0)
  );
}

/** The index, existing or suggested, whose keys begin with all of this one's. */
function coveredBy(
  index: Index,
  catalogue: Catalogue,
  chosen: readonly Sized[],
  without: readonly string[],
): string | null {
  if (index.expressions !== null || index.predicate !== null || index.method !== "btree")
    return null;
  const keys = index.columns.slice(0, index.key_columns);
  const length = index.columns.length;
  const other = catalogue.indexes.find((one) => {
    const same =
      one.relid === index.relid &&
      one.oid !== index.oid &&
      one.valid &&
      one.method === "btree" &&
      one.predicate === null;
    const front = keys.every(
      (num, at) =>
        at < one.key_columns && one.columns[at] === num && classOf(one, at) === classOf(index, at),
    );
    const all = index.columns.every((num) => one.columns.includes(num));
    // Of two equal indexes, the later one goes.
    return (
      same &&
      front &&
      all &&
      (one.columns.length > length || one.unique || one.oid < index.oid) &&
      !without.includes(`${one.schema}.${one.name}`)
    );
  });
  if (other !== undefined) return `${other.schema}.${other.name}`;
  const columns = catalogue.columns.filter((column) => column.relid === index.relid);
  const names = index.columns.map(
    (num) => columns.find((column) => column.num === num)?.name ?? "",
  );
  const table = catalogue.relations.find((relation) => relation.oid === index.relid);
  const suggested = chosen.find(({ def }) => {
    const plain =
      def.schema === table?.schema &&
      def.table === table.name &&
      def.method === "btree" &&
      def.where === null &&
      index.plain;
    const all = names.every(
      (name) => def.keys.some((key) => key.column === name) || def.include.includes(name),
    );
    return (
      plain &&
      all &&
      names
        .slice(0, index.key_columns)
        .every((name, at) => def.keys[at]?.column === name && def.keys[at]?.suffix === undefined)
    );
  });
  return suggested === undefined ? null : "a suggested index";
}

/** Operator class, collation and order of the nth key: three lists of one number a key, one behind the other. */
function classOf(index: Index, at: number): string {
  const numbers = index.classes.split(" ");
  const keys = index.key_columns;
  return [numbers[at], numbers[keys + at], numbers[2 * keys + at]].join(" ");
}

/** Deletes and updates of the referenced table look for referencing rows, which no plan of the workload shows. */
function servesForeignKey(index: Index, catalogue: Catalogue): boolean {
  return catalogue.constraints.some(
    (constraint) =>
      constraint.type === "f" &&
      constraint.relid === index.relid &&
      (constraint.columns ?? []).every((num) => index.columns.includes(num)),
  );
}
