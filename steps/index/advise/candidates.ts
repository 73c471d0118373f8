import {
  type Catalogue,
  type IndexDef,
  type IndexKey,
  indexSql,
} from "../../../providers/planner/twin/twin.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import type { Writes } from "../workload/work.ts";
import type { TableUse } from "../workload/scope.ts";
import type { Candidate } from "./candidate.ts";

/** Columns beyond this many are not worth their bytes in most indexes; peers stop at 2 or 3. */
const MAX_KEYS = 4;
/** Included columns are taken when few and narrow: the index must stay much smaller than the table. */
const MAX_INCLUDED = 4;
const MAX_INCLUDED_BYTES = 64;
const MAX_PREDICATES = 3;

/** For whom, and how. */
interface Proposal {
  statement: number;
  basic: boolean;
  /** True when the condition lasts and keeps few rows, so that an index may hold only those. */
  selects(predicate: string, column: string): Promise<boolean>;
}

export class Candidates {
  readonly #found = new Map<string, Candidate>();
  readonly #catalogue: Catalogue;
  readonly #writes: ReadonlyMap<number, Writes>;
  /** By table and key: what the statements cost that compare it for equality. */
  readonly #frequency: ReadonlyMap<string, number>;

  constructor(
    catalogue: Catalogue,
    writes: ReadonlyMap<number, Writes>,
    frequency: ReadonlyMap<string, number> = new Map(),
  ) {
    this.#catalogue = catalogue;
    this.#writes = writes;
    this.#frequency = frequency;
  }

  all(): Candidate[] {
    return [...this.#found.values()];
  }

  /** The candidate for `def`, made if new; null when an index that exists already serves as well. */
  add(def: IndexDef, statement?: number, lookup = false): Candidate | null {
    const sql = indexSql(def);
    let found = this.#found.get(sql);
    if (found === undefined) {
      if (isServed(def, this.#catalogue)) return null;
      found = { def, sql, statements: new Set(), lookup };
      this.#found.set(sql, found);
    }
    if (statement !== undefined) found.statements.add(statement);
    found.lookup ||= lookup;
    return found;
  }

  /**
   * The indexes that could serve one use of a table: each key alone; equality keys together, then one range, the order or the
   * grouping; the same with the other columns included, where they are narrow; the same for the rows of a lasting predicate; other
   * access methods where an operator asks for one. `basic`: only all keys together, with those in front that most statements use.
   */
  async propose(use: TableUse, { statement, basic, selects }: Proposal): Promise<Candidate[]> {
    const made: (Candidate | null)[] = [];
    const add = (def: IndexDef): void => void made.push(this.add(def, statement));
    const lists = (of: TableUse): IndexKey[][] =>
      basic
        ? basicLists(of, this.#byFrequency(of))
        : keyLists(of, this.#bySelectivity(of), this.#byFrequency(of));
    for (const keys of lists(use)) {
      const [key] = keys;
      const lookup = keys.length === 1 && use.equal.some(({ sql }) => sql === key?.sql);
      made.push(this.add(this.#def(use, keys), statement, lookup && key?.suffix === undefined));
      const include = basic ? null : this.#includable(use, keys);
      if (include !== null) add(this.#def(use, keys, { include }));
    }
    for (const { key, method } of use.inverted) add(this.#def(use, [key], { method }));
    for (const { sql, column } of use.predicates.slice(0, MAX_PREDICATES)) {
      if (!(await selects(sql, column))) continue;
      const others = without(use, column);
      const rest = lists(others);
      for (const keys of rest.length === 0 ? this.#anyKeys(use, column) : rest) {
        add(this.#def(use, keys, { where: sql }));
        const include = basic ? null : this.#includable(use, [...keys, { column, sql }]);
        if (include !== null) add(this.#def(use, keys, { where: sql, include }));
      }
    }
    return made.filter((one) => one !== null);
  }

  /** Extends an index by one column that statements on its table use; gives all ways to do so. */
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

  /** Keys of an index whose predicate alone selects: the column itself, or where that is too wide the primary key. */
  #anyKeys(use: TableUse, column: string): IndexKey[][] {
    const { indexes, columns } = this.#catalogue;
    const primary = indexes.find((index) => index.relid === use.table.oid && index.primary);
    const names = (primary?.columns.slice(0, primary.key_columns) ?? []).map(
      (num) => columns.find(({ relid, num: own }) => relid === use.table.oid && own === num)?.name,
    );
    const keys = [[column], names.filter((name) => name !== undefined)];
    return keys
      .filter((list) => list.length > 0)
      .map((list) => list.map((name) => ({ column: name, sql: quoteIdent(name) })));
  }

  /** Keys that more of the workload compares come first: then one index serves more of it. */
  #byFrequency(use: TableUse): (a: IndexKey, b: IndexKey) => number {
    const often = (key: IndexKey): number =>
      this.#frequency.get(`${use.table.oid} ${key.sql}`) ?? 0;
    const bySelectivity = this.#bySelectivity(use);
    return (a, b) => often(b) - often(a) || bySelectivity(a, b);
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

function keyLists(
  use: TableUse,
  bySelectivity: (a: IndexKey, b: IndexKey) => number,
  byFrequency: (a: IndexKey, b: IndexKey) => number,
): IndexKey[][] {
  const lists: IndexKey[][] = [];
  for (const key of [...use.equal, ...use.ranges, ...use.branches, ...use.group]) lists.push([key]);
  if (use.order.length > 0) lists.push(use.order);
  if (use.group.length > 1) lists.push(use.group);
  const equal = use.equal.toSorted(bySelectivity).slice(0, MAX_KEYS);
  for (const a of equal) for (const b of [...equal, ...use.ranges]) lists.push([a, b]);
  for (const key of equal) if (use.order.length > 0) lists.push([key, ...use.order]);
  for (const order of [bySelectivity, byFrequency])
    lists.push(...together(use, use.equal.toSorted(order).slice(0, MAX_KEYS)));
  return distinct(lists);
}

function basicLists(
  use: TableUse,
  byFrequency: (a: IndexKey, b: IndexKey) => number,
): IndexKey[][] {
  const equal = use.equal.toSorted(byFrequency).slice(0, MAX_KEYS);
  const lists = together(use, equal);
  for (const key of equal.length > 0 ? equal.slice(0, 1) : use.ranges) lists.push([key]);
  if (equal.length === 0) lists.push(...use.branches.map((key) => [key]));
  if (use.order.length > 0 && equal.length === 0) lists.push(use.order);
  if (use.group.length > 0 && equal.length === 0) lists.push(use.group);
  return distinct(lists);
}

/** The keys compared for equality, and each with what else an index can do behind them. */
function together(use: TableUse, equal: readonly IndexKey[]): IndexKey[][] {
  if (equal.length === 0) return [];
  const lists = [[...equal], ...use.ranges.map((range) => [...equal, range])];
  if (use.order.length > 0) lists.push([...equal, ...use.order]);
  if (use.group.length > 0) lists.push([...equal, ...use.group]);
  return lists;
}

/** No key twice in a list, no list twice, none too long. */
function distinct(lists: readonly IndexKey[][]): IndexKey[][] {
  const each = lists
    .map((keys) =>
      keys.filter((key, at) => keys.findIndex((other) => other.sql === key.sql) === at),
    )
    .filter((keys) => keys.length > 0 && keys.length <= MAX_KEYS);
  return [
    ...new Map(
      each.map((keys) => [JSON.stringify(keys.map(({ sql, suffix }) => [sql, suffix])), keys]),
    ).values(),
  ];
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

/** True when an existing index has the same keys in front and the same rows. */
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
