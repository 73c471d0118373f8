import type { JsonObject } from "../../../engine/types.ts";

/** A table as a statement names it; without a schema the search path decides. */
export interface TableName {
  schema: string | null;
  name: string;
}

/** Something the twin lacks, and what that means or what to do. */
export interface Limit {
  object: string;
  reason: string;
  /** A table that was asked for and is not there. */
  missing?: true;
}

export interface Relation {
  oid: number;
  schema: string;
  name: string;
  /** pg_class.relkind: r table, p partitioned, m materialized view, v view, f foreign table. */
  kind: string;
  reltuples: number;
  relpages: number;
  relallvisible: number;
  /** Rows by the server's counters, which it may have lost; 0 when it knows of none. */
  live: number;
  bytes: number;
  parallel_workers: string | null;
  fillfactor: string | null;
  partition_key: string | null;
  partition_bound: string | null;
  parents: number[];
  view: string | null;
  readable: boolean;
  rls: boolean;
}

export interface Column {
  relid: number;
  num: number;
  name: string;
  type: string;
  not_null: boolean;
  /** pg_attribute.attgenerated: `s` stored, `v` virtual, or empty. */
  generated: string;
  default: string | null;
  collation_schema: string | null;
  collation: string | null;
}

export interface Constraint {
  oid: number;
  relid: number;
  name: string;
  /** pg_constraint.contype: p, u, x, c, f. */
  type: string;
  definition: string;
  parent: number;
  valid: boolean;
  /** The index behind p, u and x. */
  index: number;
  /** Attribute numbers. */
  columns: number[] | null;
  references: number;
}

export interface Index {
  oid: number;
  relid: number;
  schema: string;
  name: string;
  definition: string;
  method: string;
  /** Attribute numbers, key columns first; 0 stands for an expression. */
  columns: number[];
  key_columns: number;
  /** Collations, operator classes and options, for comparing two indexes. */
  classes: string;
  /** Its keys ascend by their types' own operator classes and their columns' collations. */
  plain: boolean;
  predicate: string | null;
  expressions: string | null;
  unique: boolean;
  primary: boolean;
  valid: boolean;
  replica_identity: boolean;
  /** The partitioned index it belongs to, 0 without one. */
  parent: number;
  reltuples: number;
  relpages: number;
  bytes: number;
  partitioned: boolean;
}

/** A row of pg_stats; arrays of values as text. */
export type ColumnStatistics = JsonObject & {
  schemaname: string;
  tablename: string;
  attname: string;
  inherited: boolean;
  avg_width: number;
  n_distinct: number;
  null_frac: number;
};

export interface UserType {
  schema: string;
  name: string;
  kind: "enum" | "domain" | "composite" | "range";
  labels: string[] | null;
  base: string | null;
  not_null: boolean;
  checks: string[] | null;
}

/** All that the planner knows of a database, or of some of its tables. */
export interface Catalogue {
  version_num: number;
  user: string;
  database: string;
  block_size: number;
  /** The row of pg_database, whose locale columns differ by version. */
  locale: JsonObject;
  /** Tables and indexes of the whole database. */
  relation_count: number;
  settings: { name: string; value: string }[];
  search_path: string;
  schemas: string[];
  extensions: { name: string; schema: string }[];
  collations: JsonObject[];
  types: UserType[];
  functions: { name: string; definition: string }[];
  sequences: { schema: string; name: string }[];
  relations: Relation[];
  columns: Column[];
  constraints: Constraint[];
  indexes: Index[];
  statistics: ColumnStatistics[];
  /** Extended statistics of several columns together: how many different combinations there are. */
  combinations: { relid: number; columns: number[]; distinct: number }[];
  limits: Limit[];
}
