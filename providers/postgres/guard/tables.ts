import { isMapping, type Json } from "../../../engine/types.ts";

/** A table (or a CTE) as a statement names it, and what is done with it. */
export interface Table {
  schema: string | null;
  name: string;
  privileges: Privilege[];
}
export type Privilege = "SELECT" | "INSERT" | "UPDATE" | "DELETE";

/** The privileges for writing to a table; all but INSERT read the rows that they change. */
const WRITES: Record<string, Privilege[]> = {
  InsertStmt: ["INSERT"],
  UpdateStmt: ["SELECT", "UPDATE"],
  DeleteStmt: ["SELECT", "DELETE"],
  MergeStmt: ["SELECT", "INSERT", "UPDATE", "DELETE"],
};

/** The tables in a parse tree. */
export function tablesIn(tree: Json, privileges: Privilege[] = ["SELECT"]): Table[] {
  if (Array.isArray(tree)) return tree.flatMap((item) => tablesIn(item));
  if (!isMapping(tree)) return [];
  const { relname, schemaname } = tree;
  const own =
    typeof relname === "string"
      ? [{ schema: typeof schemaname === "string" ? schemaname : null, name: relname, privileges }]
      : [];
  const below = Object.entries(tree).flatMap(([key, child]) => {
    const writes = WRITES[key];
    if (writes === undefined || !isMapping(child)) return tablesIn(child);
    const { relation = null, ...rest } = child;
    return [...tablesIn(relation, writes), ...tablesIn(rest)];
  });
  return [...own, ...below];
}
