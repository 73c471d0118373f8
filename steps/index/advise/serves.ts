import type { IndexDef } from "../../../providers/planner/twin/twin.ts";
import type { TableUse } from "../workload/scope.ts";

/**
 * True when an index can serve such a use of a table: its first key is compared, ordered or grouped by; or it holds all the columns
 * and is read instead of the table; or it holds only the wanted rows.
 */
export function serves(def: IndexDef, use: TableUse): boolean {
  const first = def.keys[0]?.sql;
  const asked = [use.equal, use.ranges, use.order, use.group, use.branches];
  if (asked.some((keys) => keys.some(({ sql }) => sql === first))) return true;
  if (use.inverted.some(({ key }) => key.sql === first)) return true;
  if (def.where !== null && use.predicates.some(({ sql }) => sql === def.where)) return true;
  if (use.all || use.columns.size === 0) return false;
  const held = new Set([...def.keys.map(({ column }) => column), ...def.include]);
  return [...use.columns].every((column) => held.has(column));
}
