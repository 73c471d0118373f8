import { PgdbaError } from "../../../engine/errors.ts";
import { contentsOf, type Names } from "./names.ts";
import { loadParser } from "./parse.ts";

/** The facts about a statement before a server has seen it. */
export interface Statement {
  text: string;
  /** The number of its parameters: the highest `$n`. */
  params: number;
  /** The names in it, by PostgreSQL's own grammar (18); null when that does not take it, as an older server may. */
  names: Names | null;
}

const KINDS = new Set(["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

/**
 * Reads the text of one statement that EXPLAIN takes.
 * @throws PgdbaError invalid_param when it is none or several, step_refused when it is of another kind (COPY, NOTIFY, SELECT INTO, …)
 */
export async function readStatement(text: string): Promise<Statement> {
  if (text.includes("\0")) throw notOne("holds a NUL character");
  if (text.trim() === "") throw notOne("is empty");
  const parsed = (await loadParser()).statements(text);
  // The server then tells whether it is one statement; it is never executed.
  if (!Array.isArray(parsed)) return { text, params: paramsIn(text), names: null };
  const [first, ...more] = parsed;
  if (first === undefined) throw notOne("is empty");
  if (more.length > 0) throw notOne(`holds ${more.length + 1} statements`);
  const [kind = ""] = Object.keys(first);
  if (kind === "ExplainStmt") throw notOne("is an EXPLAIN itself");
  const { names, params, into } = contentsOf(first);
  if (!KINDS.has(kind) || into) {
    throw new PgdbaError(
      "step_refused",
      "Only SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES have a plan to look at",
      {
        hint: into
          ? "Leave INTO out: the plan is that of the SELECT."
          : "Name the statement that is slow, without what stands around it.",
      },
    );
  }
  return { text, params, names };
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
