import type { Catalogue } from "../../../providers/planner/twin/twin.ts";
import type { Work, Writes } from "./work.ts";
import { writtenIn } from "./tree.ts";
import type { Activity } from "./workload.ts";

type Relation = Catalogue["relations"][number];
type Counted = NonNullable<ReturnType<Activity["tables"]["get"]>>;

/** The server's counts for a table, or for all partitions of one. */
export function countedOf(
  table: Relation,
  activity: Activity,
  catalogue: Catalogue,
): Counted | undefined {
  const own = activity.tables.get(table.oid);
  if (table.kind !== "p") return own;
  const parts = catalogue.relations
    .filter(({ parents }) => parents.includes(table.oid))
    .flatMap((part) => countedOf(part, activity, catalogue) ?? []);
  if (parts.length === 0) return own;
  const sum = (name: keyof Counted): number => parts.reduce((all, part) => all + part[name], 0);
  return {
    inserts: sum("inserts"),
    updates: sum("updates"),
    hot_updates: sum("hot_updates"),
    deletes: sum("deletes"),
  };
}

/** Rows that the workload's own statements write, by table. How many updates are HOT is known from the server's counters. */
export function writesOf(
  work: readonly Work[],
  activity: Activity,
  catalogue: Catalogue,
): Map<number, Writes> {
  const writes = new Map<number, Writes>();
  for (const { tree, calls, rows } of work) {
    for (const { schema, name, kind, set, outermost } of writtenIn(tree)) {
      const table = catalogue.relations.find(
        (one) => one.name === name && (schema === null || one.schema === schema),
      );
      if (table === undefined) continue;
      const entry = writes.get(table.oid) ?? { inserted: 0, updated: 0, set: new Map() };
      writes.set(table.oid, entry);
      // Nobody counts the rows that a part of a statement wrote; it wrote at least one in each run.
      const written = outermost ? (rows ?? calls) : calls;
      if (kind === "insert") {
        entry.inserted += written;
        continue;
      }
      const counted = countedOf(table, activity, catalogue);
      const hot =
        counted === undefined || counted.updates === 0 ? 0 : counted.hot_updates / counted.updates;
      entry.updated += written * (1 - hot);
      for (const column of set) entry.set.set(column, (entry.set.get(column) ?? 0) + written);
    }
  }
  return writes;
}
