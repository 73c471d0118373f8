import type { Catalogue } from "../../../providers/planner/twin/twin.ts";
import { columnStatistics } from "../../../providers/planner/twin/separators.ts";
import type { TableUse } from "./scope.ts";

/** A column with more values is somebody's key, or a measure. */
const MAX_VALUES = 20;
/** Constants of it in the whole workload: of more each would want an index of its own. */
const MAX_CONSTANTS = 3;
/** The share of a shape's runs that have the same constant. */
const MOSTLY = 0.9;

/** Statements of one shape, each with its uses of tables. */
export interface Used {
  uses: readonly TableUse[];
  calls: number;
}

type Predicate = TableUse["predicates"][number];

/**
 * Knows which conditions last: NULL or not, a flag, and a constant that all statements of a shape agree on (`status = 'open'`). A value
 * that changes from one run to the next makes no partial index, which would serve it today and nobody tomorrow.
 */
export class States {
  readonly #catalogue: Catalogue;
  /** By column: the constants that it is compared with. */
  readonly #constants = new Map<string, Set<string>>();
  /** Columns that are compared with a parameter. */
  readonly #bound = new Set<string>();

  constructor(catalogue: Catalogue, shapes: Iterable<readonly Used[]>) {
    this.#catalogue = catalogue;
    for (const shape of shapes)
      for (const use of shape.flatMap(({ uses }) => uses)) {
        for (const column of use.bound) this.#bound.add(key(use, column));
        for (const { sql, column, constant } of use.predicates) {
          if (!constant) continue;
          const known = this.#constants.get(key(use, column)) ?? new Set();
          this.#constants.set(key(use, column), known.add(sql));
        }
      }
  }

  /** @param shape the statements of the shape that the use is of */
  lasts(use: TableUse, { sql, column, constant }: Predicate, shape: readonly Used[]): boolean {
    if (!constant) return true;
    const name = key(use, column);
    const distinct = Number(columnStatistics(this.#catalogue, use.table, column)?.n_distinct ?? 0);
    if (distinct <= 0 || distinct > MAX_VALUES || this.#bound.has(name)) return false;
    if ((this.#constants.get(name)?.size ?? 0) > MAX_CONSTANTS) return false;
    const calls = (list: readonly Used[]): number =>
      list.reduce((sum, one) => sum + Math.max(one.calls, 1), 0);
    const same = shape.filter(({ uses }) =>
      uses.some(
        (one) =>
          one.table.oid === use.table.oid &&
          one.predicates.some((other) => other.sql === sql && other.column === column),
      ),
    );
    // What was asked once, with other conditions beside it, tells nothing of what lasts; and how many rows it keeps is the product of guesses.
    if (calls(shape) < 2 && compared(use).size > 1) return false;
    return calls(same) >= MOSTLY * calls(shape);
  }
}

/** The columns that a statement compares with values for equality. */
export function compared(use: TableUse): Set<string> {
  return new Set(use.equal.flatMap(({ column }) => column ?? []));
}

function key(use: TableUse, column: string): string {
  return `${use.table.oid} ${column}`;
}
