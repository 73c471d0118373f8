import { PgdbaError } from "../../../engine/errors.ts";
import type { Json, JsonObject } from "../../../engine/types.ts";
import { quoteIdent } from "../../../providers/twin/names.ts";
import { isObject } from "../plan/tree.ts";
import { type Table, tablesIn } from "./tables.ts";
import { wordsIn } from "./words.ts";

/** What is known of a statement before a server has seen it. */
export interface Statement {
  text: string;
  /** How many parameters it has: the highest `$n`. */
  params: number;
  /** What it names, by PostgreSQL's own grammar (18); null when that does not take it, as an older server may. */
  names: Names | null;
}

/** Last parts of qualified names. */
export interface Names {
  functions: string[];
  operators: string[];
  /** Operators written with a schema. */
  placed: string[];
  /** Quoted, with the schema where it was given. */
  relations: string[];
  /** Of column references: `row.f` may be a call of the function `f`. */
  columns: string[];
  /** What it reads and writes, as it names them. */
  tables: Table[];
  /** Every other word, types and the words of strings too. */
  words: string[];
}

const KINDS = new Set(["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

/**
 * Reads the text of one statement that EXPLAIN takes.
 * @throws PgdbaError invalid_param when it is none or several, step_refused when it is of another kind (COPY, NOTIFY, SELECT INTO, …)
 */
export async function readStatement(text: string): Promise<Statement> {
  if (text.includes("\0")) throw notOne("holds a NUL character");
  if (text.trim() === "") throw notOne("is empty");
  const { loadModule, parseSync } = await import("libpg-query");
  await loadModule();
  let parsed: { stmts?: { stmt: JsonObject }[] };
  try {
    parsed = parseSync(text) as unknown as typeof parsed;
  } catch {
    // Whether it is one statement is then for the server to say; it is never executed.
    return { text, params: paramsIn(text), names: null };
  }
  const [first, ...more] = parsed.stmts ?? [];
  if (first === undefined) throw notOne("is empty");
  if (more.length > 0) throw notOne(`holds ${more.length + 1} statements`);
  const [kind = "", body = null] = Object.entries(first.stmt)[0] ?? [];
  if (kind === "ExplainStmt") throw notOne("is an EXPLAIN itself");
  const found: Found = {
    params: 0,
    functions: [],
    operators: [],
    placed: [],
    relations: [],
    columns: [],
    words: [],
    into: false,
  };
  collect(body, found);
  if (!KINDS.has(kind) || found.into) {
    throw new PgdbaError(
      "step_refused",
      "Only SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES have a plan to look at",
      {
        hint: found.into
          ? "Leave INTO out: the plan is that of the SELECT."
          : "Name the statement that is slow, without what stands around it.",
      },
    );
  }
  const { params, into: _, ...names } = found;
  return { text, params, names: { ...names, tables: tablesIn(first.stmt) } };
}

interface Found extends Omit<Names, "tables"> {
  params: number;
  into: boolean;
}

function collect(value: Json, found: Found): void {
  if (Array.isArray(value)) return value.forEach((item) => collect(item, found));
  if (!isObject(value)) return;
  for (const [key, child] of Object.entries(value)) {
    if (key === "intoClause") found.into = true;
    if (isObject(child)) {
      if (key === "ParamRef") found.params = Math.max(found.params, Number(child.number));
      if (key === "FuncCall") found.functions.push(lastOf(child.funcname));
      if (key === "RangeTableSample") found.functions.push(lastOf(child.method));
      if (key === "ColumnRef" && lengthOf(child.fields) > 1)
        found.columns.push(lastOf(child.fields));
      if (key === "A_Indirection") found.columns.push(lastOf(child.indirection));
    }
    // Of A_Expr, SubLink (x = ANY (SELECT …)) and SortBy.
    if ((key === "name" || key === "operName" || key === "useOp") && lengthOf(child) > 0)
      (lengthOf(child) > 1 ? found.placed : found.operators).push(lastOf(child));
    if (key === "sval" && typeof child === "string")
      found.words.push(child, ...wordsIn(child).words);
    if (key === "relname" && typeof child === "string") {
      const { schemaname } = value;
      found.relations.push(
        typeof schemaname === "string"
          ? `${quoteIdent(schemaname)}.${quoteIdent(child)}`
          : quoteIdent(child),
      );
    }
    collect(child, found);
  }
}

function lengthOf(parts: Json | undefined): number {
  return Array.isArray(parts) ? parts.length : 0;
}

function lastOf(parts: Json | undefined): string {
  const last = Array.isArray(parts) ? parts.at(-1) : undefined;
  const word = isObject(last) ? last.String : undefined;
  return isObject(word) && typeof word.sval === "string" ? word.sval : "";
}

/** For texts that our grammar does not take: `$1` may also stand in a string, which does no harm here. */
function paramsIn(text: string): number {
  return Math.max(0, ...[...text.matchAll(/\$(\d{1,5})\b/g)].map(([, number]) => Number(number)));
}

function notOne(what: string): PgdbaError {
  return new PgdbaError("invalid_param", `The text ${what}; it must be one statement`, {
    hint: "Give one SELECT, INSERT, UPDATE, DELETE or MERGE, without EXPLAIN before it.",
  });
}
