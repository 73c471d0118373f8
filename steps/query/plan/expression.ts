import type { JsonObject } from "../../../engine/types.ts";
import type { ParseExpression } from "./finding.ts";

/** PostgreSQL's own grammar for the conditions that a plan shows. Loaded when it is needed: 70 ms. */
export async function loadParser(): Promise<ParseExpression> {
  const { loadModule, parseSync } = await import("libpg-query");
  await loadModule();
  return (expression) => {
    try {
      const { stmts } = parseSync(`SELECT WHERE ${expression}`) as unknown as {
        stmts: { stmt: { SelectStmt: { whereClause: JsonObject } } }[];
      };
      return stmts[0]?.stmt.SelectStmt.whereClause ?? null;
    } catch {
      // Plans show sub-plans in words that are not SQL.
      return null;
    }
  };
}
