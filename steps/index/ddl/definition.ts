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
  /** Builds it on the partitioned table alone: it is not valid until an index of each partition is attached. */
  only: boolean;
  /** Its columns, where it is of columns of all rows; null where it has an expression or a WHERE. */
  columns: string[] | null;
  /** The same statement for a table `pg_temp.${STAND_IN}`, under a name that PostgreSQL chooses. */
  standIn: string;
}

/** A table that stands for the real one. */
export const STAND_IN = "pgdba_stand_in";

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
  const tokens = (await scan(sql)).tokens;
  const parsed = {
    name: index.idxname,
    schema: schemaname,
    table: relname,
    only: !inh,
    columns: columnsOf(index),
    standIn: standInFor(sql, tokens),
  };
  // ON ONLY is for a partitioned table: made at once, and never concurrently.
  if (index.concurrent === true || !inh)
    return { ...parsed, sql, concurrently: index.concurrent === true };
  const word = tokens.find((token) => token.text.toUpperCase() === "INDEX");
  const at = Buffer.from(sql)
    .subarray(0, word?.end ?? 0)
    .toString().length;
  return { ...parsed, sql: `${sql.slice(0, at)} CONCURRENTLY${sql.slice(at)}`, concurrently: true };
}

function columnsOf({ indexParams = [], whereClause }: IndexStmt): string[] | null {
  const names = indexParams.flatMap((one) =>
    "IndexElem" in one && one.IndexElem.name !== undefined ? [one.IndexElem.name] : [],
  );
  return whereClause === undefined && names.length === indexParams.length ? names : null;
}

/** Up to the table's name, which ends before USING or the keys, a statement says nothing of what the index is but UNIQUE. */
function standInFor(sql: string, tokens: readonly { text: string; start: number; end: number }[]) {
  const bytes = Buffer.from(sql);
  const on = tokens.findIndex((token) => token.text.toUpperCase() === "ON");
  const rest = tokens.slice(on).find(({ text }) => text === "(" || text.toUpperCase() === "USING");
  const unique = tokens.slice(0, on).some(({ text }) => text.toUpperCase() === "UNIQUE");
  const body = bytes.subarray(rest?.start ?? bytes.length).toString();
  return `CREATE ${unique ? "UNIQUE " : ""}INDEX ON pg_temp.${STAND_IN} ${body}`;
}
