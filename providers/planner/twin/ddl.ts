import type { Catalogue, Column, Constraint, Index, Relation, UserType } from "./catalogue.ts";
import { quoteIdent, quoteLiteral, quoteName } from "./names.ts";

/** A statement, and what it makes, for the report when it fails. */
export interface Ddl {
  object: string;
  sql: string;
  /** Its failure changes no plan, so it is not reported. */
  minor?: boolean;
}

/**
 * Extensions that only add types, operators and functions. Others (`dblink`, `postgres_fdw`, untrusted languages) could act outside
 * of the twin and change no plan.
 */
export const HARMLESS_EXTENSIONS: ReadonlySet<string> = new Set(
  "bloom btree_gin btree_gist citext cube dict_int earthdistance fuzzystrmatch hstore intarray isn ltree pg_trgm pgcrypto seg tablefunc tsm_system_rows tsm_system_time unaccent uuid-ossp".split(
    " ",
  ),
);

/** Kinds that have a file and can be scanned. A materialized view is cloned as a table: plans are the same. */
export const STORED: ReadonlySet<string> = new Set(["r", "m"]);
const isTable = (relation: Relation): boolean => relation.kind === "p" || STORED.has(relation.kind);

/**
 * The statements that make the empty clone, in an order in which they mostly succeed; one that needs an object made later is to
 * be tried again after the others.
 */
export function statements(catalogue: Catalogue): Ddl[][] {
  const { relations, columns, constraints, indexes } = catalogue;
  const byId = new Map(relations.map((relation) => [relation.oid, relation]));
  const columnsOf = Map.groupBy(columns, (column) => column.relid);
  const checksOf = Map.groupBy(
    constraints.filter((constraint) => constraint.type === "c" && constraint.valid),
    (constraint) => constraint.relid,
  );
  const tables = relations.filter(isTable);
  const make = tables.map((table) =>
    createTable(table, columnsOf.get(table.oid) ?? [], checksOf.get(table.oid) ?? [], byId),
  );
  const attach = tables.flatMap((table) => attachTable(table, byId));
  const defaults = tables.flatMap((table) => defaultsOf(table, columnsOf.get(table.oid) ?? []));
  const views = relations.flatMap((view) =>
    view.kind === "v" && view.view !== null
      ? [
          {
            object: `${view.schema}.${view.name}`,
            sql: `CREATE VIEW ${quoteName(view.schema, view.name)} AS ${view.view}`,
          },
        ]
      : [],
  );
  const functions = catalogue.functions.map(({ name, definition }) => ({
    object: name,
    sql: definition,
    minor: true,
  }));
  return [
    [
      ...collations(catalogue),
      ...catalogue.types.map(createType),
      ...functions,
      ...sequences(catalogue),
      ...make,
      ...attach,
      ...views,
    ],
    [...keys(constraints, byId), ...plainIndexes(indexes, constraints), ...attachIndexes(indexes)],
    [...foreignKeys(constraints, byId), ...defaults],
  ];
}

/** Schemas of every object. */
export function schemasOf(catalogue: Catalogue): string[] {
  const lists = [
    catalogue.relations,
    catalogue.types,
    catalogue.extensions,
    catalogue.collations,
    catalogue.sequences,
  ];
  const names = lists.flatMap((list) => list.map((object) => String(object.schema)));
  // A function's definition begins with its quoted name.
  const ofFunctions = catalogue.functions.map(({ name }) =>
    /^(?:"((?:[^"]|"")*)"|([^".]+))\./.exec(name),
  );
  const more = ofFunctions.flatMap(
    (match) => match?.[1]?.replaceAll('""', '"') ?? match?.[2] ?? [],
  );
  return [...new Set([...names, ...more])].filter(
    (name) => name !== "pg_catalog" && name !== "public",
  );
}

function collations(catalogue: Catalogue): Ddl[] {
  return catalogue.collations.map(({ schema, row }) => {
    const collation = row as Record<string, string | boolean | null>;
    const icu = collation["collprovider"] === "i";
    const locale =
      (icu ? (collation["colllocale"] ?? collation["colliculocale"]) : null) ??
      collation["collcollate"] ??
      "C";
    const name = quoteName(String(schema), String(collation["collname"]));
    const options = `provider = ${icu ? "icu" : "libc"}, locale = ${quoteLiteral(String(locale))}, deterministic = ${collation["collisdeterministic"] !== false}`;
    return { object: `collation ${name}`, sql: `CREATE COLLATION ${name} (${options})` };
  });
}

/**
 * The checks of domains, for when the statistics are in: reading values of a domain runs its checks, which are code of the cloned
 * database, and what writes statistics may be a superuser. Not validated, or the server would read the tables.
 */
export function domainChecks(catalogue: Catalogue): Ddl[] {
  return catalogue.types
    .filter((type) => type.kind === "domain")
    .flatMap(({ schema, name, checks }) =>
      (checks ?? [])
        .filter((check) => !check.endsWith("NOT VALID"))
        .map((check) => ({
          object: `${schema}.${name}`,
          sql: `ALTER DOMAIN ${quoteName(schema, name)} ADD ${check} NOT VALID`,
        })),
    );
}

function createType(type: UserType): Ddl {
  const name = quoteName(type.schema, type.name);
  const object = `type ${type.schema}.${type.name}`;
  if (type.kind === "enum")
    return {
      object,
      sql: `CREATE TYPE ${name} AS ENUM (${(type.labels ?? []).map(quoteLiteral).join(", ")})`,
    };
  if (type.kind === "range")
    return { object, sql: `CREATE TYPE ${name} AS RANGE (subtype = ${type.base})` };
  if (type.kind === "composite")
    return { object, sql: `CREATE TYPE ${name} AS (${type.base ?? ""})` };
  return {
    object,
    sql: `CREATE DOMAIN ${name} AS ${type.base} ${type.not_null ? "NOT NULL" : ""}`,
  };
}

function sequences(catalogue: Catalogue): Ddl[] {
  return catalogue.sequences.map(({ schema, name }) => ({
    object: `${schema}.${name}`,
    sql: `CREATE SEQUENCE ${quoteName(schema, name)}`,
    minor: true,
  }));
}

/** Checks stand inside: the planner uses them, and a partition must have its parent's before it is attached. */
function createTable(
  table: Relation,
  columns: Column[],
  checks: Constraint[],
  byId: Map<number, Relation>,
): Ddl {
  const lines = columns.map((column) => {
    const collation =
      column.collation === null
        ? ""
        : ` COLLATE ${quoteName(column.collation_schema ?? "pg_catalog", column.collation)}`;
    const kind = column.generated === "v" ? "VIRTUAL" : "STORED";
    const generated =
      column.generated === "" ? "" : ` GENERATED ALWAYS AS (${column.default}) ${kind}`;
    return `${quoteIdent(column.name)} ${column.type}${collation}${generated}${column.not_null ? " NOT NULL" : ""}`;
  });
  const constraints = checks.map(
    (check) => `CONSTRAINT ${quoteIdent(check.name)} ${check.definition}`,
  );
  const parents =
    table.partition_bound === null ? table.parents.flatMap((oid) => byId.get(oid) ?? []) : [];
  const inherits =
    parents.length === 0
      ? ""
      : ` INHERITS (${parents.map((parent) => quoteName(parent.schema, parent.name)).join(", ")})`;
  const partitioned = table.partition_key === null ? "" : ` PARTITION BY ${table.partition_key}`;
  const options = [
    ...(table.parallel_workers === null
      ? []
      : [`parallel_workers = ${Number(table.parallel_workers)}`]),
    ...(table.fillfactor === null ? [] : [`fillfactor = ${Number(table.fillfactor)}`]),
  ];
  const storage = options.length === 0 || table.kind === "p" ? "" : ` WITH (${options.join(", ")})`;
  return {
    object: `${table.schema}.${table.name}`,
    sql: `CREATE TABLE ${quoteName(table.schema, table.name)} (${[...lines, ...constraints].join(", ")})${inherits}${partitioned}${storage}`,
  };
}

function attachTable(table: Relation, byId: Map<number, Relation>): Ddl[] {
  const parent = byId.get(table.parents[0] ?? 0);
  if (table.partition_bound === null || parent === undefined) return [];
  const sql = `ALTER TABLE ${quoteName(parent.schema, parent.name)} ATTACH PARTITION ${quoteName(table.schema, table.name)} ${table.partition_bound}`;
  return [{ object: `${table.schema}.${table.name}`, sql }];
}

function defaultsOf(table: Relation, columns: Column[]): Ddl[] {
  return columns.flatMap((column) =>
    column.default === null || column.generated !== ""
      ? []
      : [
          {
            object: `${table.schema}.${table.name}`,
            sql: `ALTER TABLE ONLY ${quoteName(table.schema, table.name)} ALTER ${quoteIdent(column.name)} SET DEFAULT ${column.default}`,
            minor: true,
          },
        ],
  );
}

function keys(constraints: Constraint[], byId: Map<number, Relation>): Ddl[] {
  return constraints.flatMap((constraint) => {
    const table = byId.get(constraint.relid);
    if (table === undefined || !["p", "u", "x"].includes(constraint.type)) return [];
    const sql = `ALTER TABLE ONLY ${quoteName(table.schema, table.name)} ADD CONSTRAINT ${quoteIdent(constraint.name)} ${constraint.definition}`;
    return [{ object: `${table.schema}.${constraint.name}`, sql }];
  });
}

function plainIndexes(indexes: Index[], constraints: Constraint[]): Ddl[] {
  const behind = new Set(
    constraints
      .filter((constraint) => constraint.type !== "f")
      .map((constraint) => constraint.index),
  );
  return indexes.flatMap((index) =>
    behind.has(index.oid) || !index.valid
      ? []
      : [{ object: `${index.schema}.${index.name}`, sql: index.definition }],
  );
}

function attachIndexes(indexes: Index[]): Ddl[] {
  const byId = new Map(indexes.map((index) => [index.oid, index]));
  return indexes.flatMap((index) => {
    const parent = byId.get(index.parent);
    if (parent === undefined || !parent.valid) return [];
    const sql = `ALTER INDEX ${quoteName(parent.schema, parent.name)} ATTACH PARTITION ${quoteName(index.schema, index.name)}`;
    return [{ object: `${index.schema}.${index.name}`, sql }];
  });
}

/**
 * NOT VALID, so that none is checked: the planner does not ask, and the check would read indexes whose metapages are still to be
 * written. Those of partitions follow from their parent's.
 */
function foreignKeys(constraints: Constraint[], byId: Map<number, Relation>): Ddl[] {
  return constraints.flatMap((constraint) => {
    const table = byId.get(constraint.relid);
    if (
      table === undefined ||
      constraint.type !== "f" ||
      constraint.parent !== 0 ||
      !byId.has(constraint.references)
    )
      return [];
    const definition = constraint.definition.replace(/ NOT VALID$/, "");
    if (definition.endsWith("NOT ENFORCED")) return [];
    const sql = `ALTER TABLE ${quoteName(table.schema, table.name)} ADD CONSTRAINT ${quoteIdent(constraint.name)} ${definition} NOT VALID`;
    return [{ object: `${table.schema}.${constraint.name}`, sql }];
  });
}
