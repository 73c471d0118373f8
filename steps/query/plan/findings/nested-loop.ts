import { at, type Finding, ms, type Rule, weigh, several } from "../finding.ts";
import { number, type Plan, type PlanNode, walk } from "../tree.ts";
import { removedRows } from "./scan-size.ts";

const LOOPS = 1000;
/** Rows gone through in all; a thousand looks at three rows are no problem. */
const VISITED = 100_000;
/** Scans without a key to look rows up by. */
const SCANS = new Set([
  "Seq Scan",
  "CTE Scan",
  "Function Scan",
  "Subquery Scan",
  "Materialize",
  "Foreign Scan",
]);

/** Nested loops that go through the whole of their inner side, again and again. */
export const nestedLoops: Rule = (plan) =>
  [...walk(plan.root)].flatMap((node) => (node.type === "Nested Loop" ? judge(node, plan) : []));

function judge(node: PlanNode, plan: Plan): Finding[] {
  const inner = node.children.find((child) => child.role === "inner");
  const loops = inner?.actual?.loops ?? 0;
  if (inner === undefined || loops < LOOPS || !SCANS.has(inner.type)) return [];
  const visited = (inner.actual?.rows ?? 0) + removedRows(inner);
  if (visited < VISITED) return [];
  const dropped = Math.round(
    number(node, "rows_removed_by_join_filter") * (node.actual?.loops ?? 0),
  );
  const time = (inner.actual?.own_ms ?? 0) + (node.actual?.own_ms ?? 0);
  const table = inner.relation?.name ?? inner.children[0]?.relation?.name;
  return [
    {
      code: "nested_loop_scan",
      severity: weigh(plan, plan.execution_ms ? time / plan.execution_ms : null),
      node: at(inner),
      message: `Gone through ${several(loops, "time")}, ${several(visited, "row")} in all, ${ms(time)} with the loop itself.`,
      evidence: {
        loops,
        rows_visited: visited,
        rows_removed_by_join_filter: dropped,
        time_ms: Math.round(time * 1000) / 1000,
        outer_estimated_rows: Math.round(
          node.children.find((child) => child.role === "outer")?.estimated.all_rows ?? 0,
        ),
      },
      advice: `Create an index on the columns${table === undefined ? "" : ` of ${table}`} that the join compares. If there is one, the outer side was estimated too small for a hash join (see misestimate), or the join has no equality that could be hashed.`,
    },
  ];
}
