import type { ColumnRef, Node, RangeVar } from "libpg-query";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import type { Catalogue, IndexKey } from "../../../providers/planner/twin/twin.ts";
import { deparse, textOf } from "./deparse.ts";
import { partsOf } from "./tree.ts";

export type Relation = Catalogue["relations"][number];

/** The way in which a statement uses a table at one place: what an index on it could serve. */
export interface TableUse {
  table: Relation;
  equal: IndexKey[];
  ranges: IndexKey[];
  /** ORDER BY of this table alone. */
  order: IndexKey[];
  group: IndexKey[];
  /** Keys of one branch of an OR. */
  branches: IndexKey[];
  /** Keys for another access method, by what the operator asks for. */
  inverted: { key: IndexKey; method: "gin" | "gist" }[];
  /** Columns that are compared with a parameter for equality. */
  bound: Set<string>;
  /** Conditions without parameters, for partial indexes; `constant`: equality of the column with a value. */
  predicates: { sql: string; column: string; constant: boolean }[];
  /** Columns that the statement needs of the table. */
  columns: Set<string>;
  /** True for `*`. */
  all: boolean;
}

/** A column of a table, as a query's own name for it leads there. */
export interface Found {
  use: TableUse;
  name: string;
}

/** The columns that a query gives out unchanged: a condition on such a column can be pushed down to its table. */
export type Outputs = ReadonlyMap<string, Found>;

export interface Source {
  alias: string;
  /** Null for a sub-select, a function, a WITH query or a view. */
  use: TableUse | null;
  outputs?: Outputs;
}

export const NOTHING: Outputs = new Map();

export interface Scope {
  sources: Source[];
  outer: Scope | null;
}

/** Finds the table behind a name: by alias and search path, as PostgreSQL resolves it. */
export class Names {
  readonly #path: string[];
  readonly #relations = new Map<string, Relation>();
  readonly #columns = new Map<number, Set<string>>();

  constructor(catalogue: Catalogue) {
    this.#path = [...catalogue.search_path.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map((match) =>
      (match[1]?.replaceAll('""', '"') ?? match[2] ?? "").replace("$user", catalogue.user),
    );
    for (const relation of catalogue.relations)
      this.#relations.set(JSON.stringify([relation.schema, relation.name]), relation);
    for (const { relid, name } of catalogue.columns)
      this.#columns.set(relid, (this.#columns.get(relid) ?? new Set()).add(name));
  }

  find(range: RangeVar): Relation | undefined {
    const schemas = range.schemaname === undefined ? this.#path : [range.schemaname];
    for (const schema of schemas) {
      const found = this.#relations.get(JSON.stringify([schema, range.relname]));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  has(use: TableUse, name: string): boolean {
    return this.#columns.get(use.table.oid)?.has(name) === true;
  }

  resolve(column: ColumnRef, scope: Scope | null): Found | null {
    const fields = (column.fields ?? []).map(textOf);
    const name = fields.at(-1) ?? "";
    for (let at = scope; at !== null; at = at.outer) {
      for (const { alias, use, outputs } of at.sources) {
        if (fields.length > 1 && fields.at(-2) !== alias) continue;
        const found = outputs?.get(name);
        if (found !== undefined) return found;
        if (use === null && fields.length > 1) return null;
        if (use !== null && this.has(use, name)) return { use, name };
      }
    }
    return null;
  }

  columnsOf({ use, outputs }: Source): Outputs {
    if (use === null) return outputs ?? NOTHING;
    const columns = this.#columns.get(use.table.oid) ?? [];
    return new Map([...columns].map((name) => [name, { use, name }]));
  }

  /** The key that an index would need for an expression: a column, or an expression on the columns of one table. */
  key(node: Node | undefined, scope: Scope): { use: TableUse; key: IndexKey } | null {
    if (node === undefined) return null;
    const { columns, links } = partsOf(node);
    const found = columns.map((column) => this.resolve(column, scope));
    const [first] = found;
    if (
      first === undefined ||
      first === null ||
      links.length > 0 ||
      found.some((other) => other?.use !== first.use)
    )
      return null;
    if ("ColumnRef" in node) return { use: first.use, key: columnKey(first.name) };
    const sql = deparse(node);
    // The grammar takes a call as it is; any other expression needs parentheses.
    return sql === null
      ? null
      : { use: first.use, key: { column: null, sql: "FuncCall" in node ? sql : `(${sql})` } };
  }
}

export function columnKey(name: string): IndexKey {
  return { column: name, sql: quoteIdent(name) };
}

export function add(list: IndexKey[], key: IndexKey): void {
  if (!list.some((other) => other.sql === key.sql && other.suffix === key.suffix)) list.push(key);
}

/** The table of UPDATE, DELETE and MERGE, wrapped as those in FROM are. */
