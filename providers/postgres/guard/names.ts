import { isMapping, type Json, type JsonObject } from "../../../engine/types.ts";
import { quoteIdent } from "../../planner/twin/names.ts";
import { type Table, tablesIn } from "./tables.ts";
import { wordsIn } from "./words.ts";

/** A function or an operator as it is named; `schema` is null where its schema is left to the search_path. */
export interface Called {
  schema: string | null;
  name: string;
}

/** The names in a statement. */
export interface Names {
  functions: Called[];
  operators: Called[];
  /** But for names of WITH queries. */
  relations: Called[];
  /** Types as they are named in casts; those that the grammar has words for are of pg_catalog. */
  types: Called[];
  /** Last parts of column references: `row.f` may be a call of the function `f`. */
  columns: string[];
  /** The tables that it reads and writes, as it names them. */
  tables: Table[];
  /** Every other word, types and the words of strings too. */
  words: string[];
}

export interface Contents {
  names: Names;
  /** The number of its parameters: the highest `$n`. */
  params: number;
  /** SELECT … INTO */
  into: boolean;
  /** SELECT … FOR UPDATE and such */
  locks: boolean;
  /** INSERT, UPDATE, DELETE or MERGE in it, a WITH query's too. */
  changes: boolean;
}

const CHANGING = new Set(["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

/** The names in a parse tree. */
export function contentsOf(tree: Json): Contents {
  const found: Contents = {
    names: {
      functions: [],
      operators: [],
      relations: [],
      types: [],
      columns: [],
      tables: tablesIn(tree),
      words: [],
    },
    params: 0,
    into: false,
    locks: false,
    changes: false,
  };
  collect(tree, found, new Set());
  return found;
}

/** @param queries names of the WITH queries that are in sight */
function collect(value: Json, found: Contents, queries: ReadonlySet<string>): void {
  if (Array.isArray(value)) return value.forEach((item) => collect(item, found, queries));
  if (!isMapping(value)) return;
  const { names } = found;
  if (typeof value["relname"] === "string") addRelation(value, names, queries);
  if (Array.isArray(value["names"]) && value["typemod"] !== undefined)
    names.types.push(called(value["names"]));
  const inner = withQueries(value["withClause"], found, queries);
  for (const [key, child] of Object.entries(value)) {
    if (key === "intoClause") found.into = true;
    if (key === "lockingClause") found.locks = true;
    if (CHANGING.has(key)) found.changes = true;
    if (isMapping(child)) {
      if (key === "ParamRef") found.params = Math.max(found.params, Number(child["number"]));
      if (key === "FuncCall") names.functions.push(called(child["funcname"]));
      if (key === "RangeTableSample") names.functions.push(called(child["method"]));
      if (key === "ColumnRef" && lengthOf(child["fields"]) > 1)
        names.columns.push(called(child["fields"]).name);
      if (key === "A_Indirection") names.columns.push(called(child["indirection"]).name);
    }
    // The keys stand in A_Expr, SubLink (x = ANY (SELECT …)) and SortBy.
    if ((key === "name" || key === "operName" || key === "useOp") && lengthOf(child) > 0)
      names.operators.push(called(child));
    if (key === "sval" && typeof child === "string")
      names.words.push(child, ...wordsIn(child).words);
    // The target of a write is always a table, never a WITH query of the same name.
    if (key === "relation" && isMapping(child) && child["relname"] !== undefined)
      collect(child, found, new Set());
    else if (key !== "withClause") collect(child, found, inner);
  }
}

/** Reads the WITH queries of a statement; gives the names that are in sight in the rest of it. */
function withQueries(
  clause: Json | undefined,
  found: Contents,
  queries: ReadonlySet<string>,
): ReadonlySet<string> {
  if (!isMapping(clause)) return queries;
  const ctes = (Array.isArray(clause["ctes"]) ? clause["ctes"] : []).map((one) => {
    const cte = isMapping(one) ? one["CommonTableExpr"] : undefined;
    return isMapping(cte) ? cte : {};
  });
  const nameOf = (cte: JsonObject): string => String(cte["ctename"]);
  const inSight = new Set(queries);
  // Each sees those before it, and with RECURSIVE all of them.
  if (clause["recursive"] === true) for (const cte of ctes) inSight.add(nameOf(cte));
  for (const cte of ctes) {
    collect(cte, found, new Set(inSight));
    inSight.add(nameOf(cte));
  }
  return inSight;
}

function addRelation(
  { relname, schemaname }: JsonObject,
  names: Names,
  queries: ReadonlySet<string>,
): void {
  const schema = typeof schemaname === "string" ? schemaname : null;
  const name = String(relname);
  if (schema !== null || !queries.has(name)) names.relations.push({ schema, name });
}

/** As the server takes a name from a text. */
export function quoted({ schema, name }: Called): string {
  return schema === null ? quoteIdent(name) : `${quoteIdent(schema)}.${quoteIdent(name)}`;
}

function lengthOf(parts: Json | undefined): number {
  return Array.isArray(parts) ? parts.length : 0;
}

/** `f`, `schema.f` or `database.schema.f` */
function called(parts: Json | undefined): Called {
  const names = (Array.isArray(parts) ? parts : []).map(wordOf);
  const schema = names.length > 1 ? (names.at(-2) ?? null) : null;
  return { schema, name: names.at(-1) ?? "" };
}

function wordOf(part: Json | undefined): string {
  const word = isMapping(part) ? part["String"] : undefined;
  return isMapping(word) && typeof word["sval"] === "string" ? word["sval"] : "";
}
