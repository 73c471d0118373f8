import { at, type Finding, ms, type Rule, weigh, several } from "../finding.ts";
import { number, type Plan, type PlanNode, text, walk } from "../tree.ts";
import { settingsFirst } from "./unused-index.ts";
import { removedRows } from "./scan-size.ts";

const LOOPS = 1000;
/** As in misestimates. */
const FACTOR = 10;
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

/** Scans by a key that finds many rows each time; one that finds few does what an index is for, and is judged elsewhere. */
const BY_KEY = new Set(["Index Scan", "Index Only Scan", "Bitmap Heap Scan"]);
const KEYED = { loops: 100, visited: 1_000_000, each: 100 };

/** Nested loops that go through the whole of their inner side, again and again. */
export const nestedLoops: Rule = (plan) =>
  [...walk(plan.root)].flatMap((node) => (node.type === "Nested Loop" ? judge(node, plan) : []));

function judge(node: PlanNode, plan: Plan): Finding[] {
  const inner = node.children.find((child) => child.role === "inner");
  const loops = inner?.actual?.loops ?? 0;
  if (inner === undefined) return [];
  const visited = (inner.actual?.rows ?? 0) + removedRows(inner) + rechecked(inner);
  const keyed = BY_KEY.has(inner.type);
  if (keyed) {
    if (loops < KEYED.loops || visited < KEYED.visited || visited < KEYED.each * loops) return [];
  } else if (loops < LOOPS || !SCANS.has(inner.type) || visited < VISITED) return [];
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
      message: `${keyed ? "Read by its index" : "Gone through"} ${several(loops, "time")}, ${several(visited, "row")} in all, ${ms(time)} with the loop itself.`,
      evidence: {
        loops,
        rows_visited: visited,
        rows_removed_by_join_filter: dropped,
        time_ms: Math.round(time * 1000) / 1000,
        outer_estimated_rows: Math.round(
          node.children.find((child) => child.role === "outer")?.estimated.all_rows ?? 0,
        ),
      },
      advice: keyed
        ? adviceForKeyed(node, inner, table)
        : `${settingsFirst(plan.settings)}Create an index on the columns${table === undefined ? "" : ` of ${table}`} that the join compares. If there is one, the outer side was estimated too small for a hash join (see misestimate), or the join has no equality that could be hashed.`,
    },
  ];
}

/** Rows that an index found and that were no match when they were looked at, in all loops. */
function rechecked(node: PlanNode): number {
  return Math.round(number(node, "rows_removed_by_index_recheck") * (node.actual?.loops ?? 0));
}

function adviceForKeyed(loop: PlanNode, inner: PlanNode, table = "the inner side"): string {
  const compared = text(loop, "join_filter") ?? text(inner, "filter");
  const outer = loop.children.find((child) => child.role === "outer");
  const few =
    (outer?.estimated.all_rows ?? 0) * FACTOR < (outer?.actual?.rows ?? 0)
      ? "The outer side was estimated far too small: mend that first (see misestimate), and the planner takes a hash join that reads it once. "
      : "";
  return `${few}The rows that it reads are the same again and again, or are thrown away later${compared === null ? "" : ` by ${compared}`}: an index on ${table} whose first columns are those that the join compares, and after them those of its own conditions, reads only what fits.`;
}
