import type { IndexStmt } from "libpg-query";
import { PgdbaError } from "../../../engine/errors.ts";

/** A CREATE INDEX as it will be sent. */
export interface Definition {
  sql: string;
  /** The index's name. */
  name: string;
  schema: string | null;
  table: string;
  concurrently: boolean;
  shape: Shape;
}

/** What two spellings of one index have in common; an expression is null, as the server writes it in its own way. */
export interface Shape {
  unique: boolean;
  method: string;
  keys: (string | null)[];
  include: (string | null)[];
  partial: boolean;
}

/**
 * Reads one CREATE INDEX by PostgreSQL's own grammar and adds CONCURRENTLY where it lacks. Nothing else is a definition, so that no
 * other statement can be sent by this way.
 * @throws PgdbaError invalid_param
 */
export async function readDefinition(text: string): Promise<Definition> {
  const { parse, scan } = await import("libpg-query");
  const refuse = (message: string, cause?: unknown): PgdbaError =>
    new PgdbaError("invalid_param", message, {
      hint: "Give one statement such as CREATE INDEX CONCURRENTLY orders_customer_idx ON public.orders (customer).",
      cause,
    });
  let statements;
  try {
    statements = (await parse(text)).stmts ?? [];
  } catch (cause) {
    throw refuse(`Not a CREATE INDEX: ${(cause as Error).message}`, cause);
  }
  const [only] = statements;
  const node = only?.stmt;
  if (statements.length !== 1 || node === undefined || !("IndexStmt" in node))
    throw refuse("Not one CREATE INDEX statement");
  const index: IndexStmt = node.IndexStmt;
  if (index.idxname === undefined)
    throw refuse("The index has no name, by which it could be found again");
  const { schemaname = null, relname = "", inh = false } = index.relation ?? {};
  const sql = text.trim().replace(/;\s*$/, "");
  const parsed = { name: index.idxname, schema: schemaname, table: relname, shape: shapeOf(index) };
  // ON ONLY is for a partitioned table: made at once, and never concurrently.
  if (index.concurrent === true || !inh)
    return { ...parsed, sql, concurrently: index.concurrent === true };
  const word = (await scan(sql)).tokens.find((token) => token.text.toUpperCase() === "INDEX");
  const at = Buffer.from(sql)
    .subarray(0, word?.end ?? 0)
    .toString().length;
  return { ...parsed, sql: `${sql.slice(0, at)} CONCURRENTLY${sql.slice(at)}`, concurrently: true };
}

function shapeOf(index: IndexStmt): Shape {
  const names = (list: IndexStmt["indexParams"]) =>
    (list ?? []).map((node) => ("IndexElem" in node ? (node.IndexElem.name ?? null) : null));
  return {
    unique: index.unique === true,
    method: index.accessMethod ?? "btree",
    keys: names(index.indexParams),
    include: names(index.indexIncludingParams),
    partial: index.whereClause !== undefined,
  };
}
