import { columnStatistics, distinctOf } from "../../../providers/planner/twin/separators.ts";
import type { Catalogue } from "../../../providers/planner/twin/twin.ts";
import type { TableUse } from "../workload/scope.ts";
import { compared } from "../workload/states.ts";

/** Rows that one column alone may keep. */
const FEW = 100;

type Table = Catalogue["relations"][number];

/**
 * The columns of a table whose conditions a statement has together, where the planner, which multiplies them, comes to less than a row: if they depend on each
 * other, as a city and its country, it is far off, and with it all costs. Null where a unique index makes that right, and where extended statistics know better.
 */
export function doubtful(
  uses: readonly TableUse[],
  table: Table,
  catalogue: Catalogue,
): string[] | null {
  for (const use of uses) {
    if (use.table.oid !== table.oid) continue;
    const columns = [...compared(use)];
    if (columns.length < 2 || isKey(columns, table, catalogue)) continue;
    const tuples = Number(table.reltuples);
    const kinds = columns.map((column) => {
      const known = columnStatistics(catalogue, table, column);
      return known === undefined ? 1 : distinctOf(known, tuples);
    });
    // Where one of them alone keeps few rows, the others change little.
    if (Math.max(...kinds) * FEW > tuples) continue;
    if (tuples > 0 && kinds.reduce((all, one) => all * one, 1) > tuples) return columns;
  }
  return null;
}

function isKey(columns: readonly string[], table: Table, catalogue: Catalogue): boolean {
  const numbers = catalogue.columns
    .filter(({ relid, name }) => relid === table.oid && columns.includes(name))
    .map(({ num }) => num);
  const unique = catalogue.indexes.some(
    (index) =>
      index.relid === table.oid &&
      index.unique &&
      index.predicate === null &&
      index.expressions === null &&
      index.columns.slice(0, index.key_columns).every((num) => numbers.includes(num)),
  );
  return (
    unique ||
    catalogue.combinations.some(
      ({ relid, columns: known }) =>
        relid === table.oid && numbers.every((num) => known.includes(num)),
    )
  );
}
