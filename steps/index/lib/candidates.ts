import {
  type Catalogue,
  type IndexDef,
  type IndexKey,
  indexSql,
} from "../../../providers/twin/twin.ts";
import { quoteIdent } from "../../../providers/twin/names.ts";
import type { Writes } from "./prover.ts";
import type { TableUse } from "./scope.ts";

/** Columns beyond this many are not worth their bytes in most indexes; peers stop at 2 or 3. */
const MAX_KEYS = 4;
/** Included columns are taken when few and narrow: the index must stay much smaller than the table. */
const MAX_INCLUDED = 4;
const MAX_INCLUDED_BYTES = 64;
const MAX_PREDICATES = 3;
const MAX_STATES = 100;

/** A candidate and the statements (by number) that asked for it. */
export interface Candidate {
  def: IndexDef;
  sql: string;
  statements: Set<number>;
}

/** A candidate that could be made. */
export interface Sized extends Candidate {
  bytes: number;
  /** What it is called in plans, with its parts on partitions. */
  names: string[];
}

export class Candidates {
  readonly #found = new Map<string, Candidate>();
  readonly #catalogue: Catalogue;
  readonly #writes: ReadonlyMap<number, Writes>;

  constructor(catalogue: Catalogue, writes: ReadonlyMap<number, Writes>) {
    this.#catalogue = catalogue;
    this.#writes = writes;
  }

  all(): Candidate[] {
    return [...this.#found.values()];
  }

  /** The candidate for `def`, made if new; null when an index that exists already serves as well. */
  add(def: IndexDef, statement?: number): Candidate | null {
    const sql = indexSql(def);
    let found = this.#found.get(sql);
    if (found === undefined) {
      if (isServed(def, this.#catalogue)) return null;
      found = { def, sql, statements: new Set() };
      this.#found.set(sql, found);
    }
    if (statement !== undefined) found.statements.add(statement);
    return found;
  }

  /**
   * What could serve one use of a table: each key alone; equality keys together, then one range, the order or the grouping; the same
   * with the other columns included, where they are narrow; the same for the rows of a constant predicate; other access methods
   * where an operator asks for one. `selective` says whether a predicate keeps few rows.
   */
  async propose(
    use: TableUse,
    statement: number,
    selective: (predicate: string) => Promise<boolean>,
  ): Promise<void> {
    const lists = keyLists(use, this.#bySelectivity(use));
    for (const keys of lists) {
      this.add(this.#def(use, keys), statement);
      const include = this.#includable(use, keys);
      if (include !== null) this.add(this.#def(use, keys, { include }), statement);
    }
    for (const { key, method } of use.inverted)
      this.add(this.#def(use, [key], { method }), statement);
    const lasting = use.predicates.filter(
      ({ column, constant }) => !constant || this.#isState(use, column),
    );
    for (const { sql, column } of lasting.slice(0, MAX_PREDICATES)) {
      if (!(await selective(sql))) continue;
      const others = without(use, column);
      const rest = keyLists(others, this.#bySelectivity(others));
      for (const keys of rest.length === 0 ? [[{ column, sql: quoteIdent(column) }]] : rest) {
        this.add(this.#def(use, keys, { where: sql }), statement);
        const include = this.#includable(use, [...keys, { column, sql }]);
        if (include !== null) this.add(this.#def(use, keys, { where: sql, include }), statement);
      }
    }
  }

  /** One-column extensions of an index by what statements on its table use. */
  extend(def: IndexDef, uses: readonly TableUse[]): IndexDef[] {
    if (def.method !== "btree" || def.keys.length >= MAX_KEYS) return [];
    const taken = new Set(def.keys.map((key) => key.sql));
    const keys = uses
      .filter(
        (use) =>
          use.table.schema === def.schema &&
          use.table.name === def.table &&
          use.equal.concat(use.ranges, use.order).some((key) => taken.has(key.sql)),
      )
      .flatMap((use) => [...use.equal, ...use.ranges, ...use.order, ...use.group]);
    const fresh = new Map(keys.filter((key) => !taken.has(key.sql)).map((key) => [key.sql, key]));
    return [...fresh.values()].map((key) => ({
      ...def,
      keys: [...def.keys, key],
      include: def.include.filter((name) => name !== key.column),
    }));
  }

  #def(use: TableUse, keys: readonly IndexKey[], more: Partial<IndexDef> = {}): IndexDef {
    return {
      schema: use.table.schema,
      table: use.table.name,
      method: "btree",
      keys: [...keys],
      include: [],
      where: null,
      ...more,
    };
  }

  /** Columns that would make a scan of the index alone enough; null when there are none, or too many or too wide ones. */
  #includable(use: TableUse, keys: readonly IndexKey[]): string[] | null {
    if (use.all) return null;
    const rest = [...use.columns]
      .filter((name) => !keys.some((key) => key.column === name))
      .toSorted();
    // An update of an included column could no longer be a HOT update.
    if (rest.some((name) => this.#writes.get(use.table.oid)?.set.has(name))) return null;
    const width = rest.reduce(
      (sum, name) => sum + (this.#statistics(use, name)?.avg_width ?? 8),
      0,
    );
    return rest.length === 0 || rest.length > MAX_INCLUDED || width > MAX_INCLUDED_BYTES
      ? null
      : rest;
  }

  /** A column of few values, so that a constant it is compared with is a state and not somebody's key. */
  #isState(use: TableUse, name: string): boolean {
    const distinct = this.#statistics(use, name)?.n_distinct ?? 0;
    return distinct > 0 && distinct <= MAX_STATES;
  }

  #bySelectivity(use: TableUse): (a: IndexKey, b: IndexKey) => number {
    const distinct = (key: IndexKey): number => {
      const n =
        (key.column === null ? undefined : this.#statistics(use, key.column)?.n_distinct) ?? 0;
      return n < 0 ? -n * use.table.reltuples : n;
    };
    return (a, b) => distinct(b) - distinct(a);
  }

  #statistics(use: TableUse, name: string): Catalogue["statistics"][number] | undefined {
    return this.#catalogue.statistics.find(
      (row) =>
        row.schemaname === use.table.schema &&
        row.tablename === use.table.name &&
        row.attname === name,
    );
  }
}

function keyLists(use: TableUse, order: (a: IndexKey, b: IndexKey) => number): IndexKey[][] {
  const equal = use.equal.toSorted(order).slice(0, MAX_KEYS);
  const lists: IndexKey[][] = [];
  for (const key of [...use.equal, ...use.ranges, ...use.branches, ...use.group]) lists.push([key]);
  if (use.order.length > 0) lists.push(use.order);
  if (use.group.length > 1) lists.push(use.group);
  for (const a of equal) for (const b of [...equal, ...use.ranges]) lists.push([a, b]);
  for (const key of equal) if (use.order.length > 0) lists.push([key, ...use.order]);
  if (equal.length > 0) {
    lists.push(equal);
    for (const range of use.ranges) lists.push([...equal, range]);
    if (use.order.length > 0) lists.push([...equal, ...use.order]);
    if (use.group.length > 0) lists.push([...equal, ...use.group]);
  }
  const distinct = lists.map((keys) =>
    keys.filter((key, at) => keys.findIndex((other) => other.sql === key.sql) === at),
  );
  return distinct.filter((keys) => keys.length > 0 && keys.length <= MAX_KEYS);
}

function without(use: TableUse, column: string): TableUse {
  const rest = (keys: IndexKey[]): IndexKey[] => keys.filter((key) => key.column !== column);
  return {
    ...use,
    equal: rest(use.equal),
    ranges: rest(use.ranges),
    order: rest(use.order),
    group: rest(use.group),
    branches: [],
  };
}

/** Whether an index that exists has the same keys in front and the same rows. */
function isServed(def: IndexDef, catalogue: Catalogue): boolean {
  const table = catalogue.relations.find(
    (relation) => relation.schema === def.schema && relation.name === def.table,
  );
  const columns = catalogue.columns.filter((column) => column.relid === table?.oid);
  const numbers = def.keys.map((key) =>
    key.suffix === undefined
      ? columns.find((column) => column.name === key.column)?.num
      : undefined,
  );
  const included = def.include.map((name) => columns.find((column) => column.name === name)?.num);
  if (def.where !== null || numbers.includes(undefined)) return false;
  return catalogue.indexes.some((index) => {
    if (
      index.relid !== table?.oid ||
      !index.valid ||
      index.predicate !== null ||
      index.method !== def.method
    )
      return false;
    return (
      numbers.every((num, at) => at < index.key_columns && index.columns[at] === num) &&
      included.every((num) => index.columns.includes(num ?? -1))
    );
  });
}
