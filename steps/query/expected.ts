import { isMapping, type Json, type JsonObject } from "../../engine/types.ts";
import { marked } from "../../providers/postgres/own.ts";
import type { Run } from "../../providers/postgres/session.ts";
import TOUCHED from "./sql/touched.sql" with { type: "text" };

/** What the planner expects of a statement that is not run. */
export interface Expected extends JsonObject {
  /** The planner's estimate; null where a rule makes something else of the statement. */
  rows_estimated: number | null;
  table: string | null;
}

/** The nodes below a ModifyTable that give it the rows: not those that only compute a value, or a WITH query. */
const GIVES_ROWS = new Set(["Outer", "Member"]);

/**
 * How many rows a statement would touch by the planner's estimate, as all stands before any of it runs, and what else would act: triggers, and
 * foreign keys that pass the change on. Only plans it.
 */
export async function expectedOf(run: Run, sql: string): Promise<Expected> {
  // The extended protocol takes one statement and no more, so that nothing in the text can end the EXPLAIN.
  const { rows } = await run(`EXPLAIN /* pgdba */ (VERBOSE, FORMAT JSON)\n${sql}`);
  const plans = rows[0]?.["QUERY PLAN"];
  const [only, ...more] = Array.isArray(plans) ? plans : [];
  const root = isMapping(only) ? only["Plan"] : null;
  if (more.length > 0 || !isMapping(root) || root["Node Type"] !== "ModifyTable")
    return { rows_estimated: null, table: null };
  const parts = mappings(root["Target Tables"]);
  const tables = [root, ...parts].filter((one) => typeof one["Relation Name"] === "string");
  const { rows: found } = await run(marked(TOUCHED), [
    tables.map((one) => one["Schema"]),
    tables.map((one) => one["Relation Name"]),
    actsOf(root),
  ]);
  const { triggers = [], cascades = [] } = (found[0] ?? {}) as Record<string, Json[]>;
  return {
    rows_estimated: rowsInto(root),
    table: `${String(root["Schema"])}.${String(root["Relation Name"])}`,
    ...(parts.length > 1 ? { partitions: parts.length } : {}),
    ...(triggers.length > 0 ? { triggers } : {}),
    ...(cascades.length > 0 ? { cascades } : {}),
  };
}

function rowsInto(root: JsonObject): number {
  return mappings(root["Plans"])
    .filter((node) => GIVES_ROWS.has(String(node["Parent Relationship"])))
    .reduce((sum, node) => sum + Number(node["Plan Rows"]), 0);
}

/** What is done to rows, in the words of triggers; a MERGE may do any of it. */
function actsOf(root: JsonObject): string[] {
  const operation = String(root["Operation"]).toUpperCase();
  if (operation === "MERGE") return ["INSERT", "UPDATE", "DELETE"];
  return root["Conflict Resolution"] === "UPDATE" ? [operation, "UPDATE"] : [operation];
}

const mappings = (value: Json | undefined): JsonObject[] =>
  Array.isArray(value) ? value.filter(isMapping) : [];
