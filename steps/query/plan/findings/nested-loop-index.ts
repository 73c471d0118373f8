import {
  at,
  count,
  factsOf,
  type Facts,
  type Finding,
  ms,
  percent,
  type Rule,
  weigh,
  several,
} from "../finding.ts";
import { type Plan, type PlanNode, walk } from "../tree.ts";

const LOOPS = 10_000;
/** Share of the execution time, and milliseconds: a loop that takes less is not the problem. */
const SHARE = 0.3;
const MS = 20;
/** Looking up fewer of a table's rows than this is what indexes are for. */
const PART = 0.05;
/** As in misestimates. */
const FACTOR = 10;
const LOOKUPS = new Set(["Index Scan", "Index Only Scan", "Bitmap Heap Scan"]);

/** Nested loops that look up so many rows, one by one, that reading the inner side once may cost less. */
export const repeatedLookups: Rule = (plan, facts) =>
  [...walk(plan.root)].flatMap((node) =>
    node.type === "Nested Loop" ? judge(node, plan, facts) : [],
  );

function judge(node: PlanNode, plan: Plan, facts: Facts): Finding[] {
  const outer = node.children.find((child) => child.role === "outer");
  const inner = node.children.find((child) => child.role === "inner");
  const lookup = inner?.type === "Memoize" ? inner.children[0] : inner;
  if (inner === undefined || lookup === undefined || !LOOKUPS.has(lookup.type)) return [];
  const loops = lookup.actual?.loops ?? 0;
  const time = (inner.actual?.time_ms ?? 0) + (node.actual?.own_ms ?? 0);
  const share = plan.execution_ms ? Math.min(1, time / plan.execution_ms) : 0;
  const rows = factsOf(lookup, facts)?.rows ?? 0;
  if (loops < LOOPS || share < SHARE || time < MS || loops < PART * rows) return [];
  const table = lookup.relation?.name ?? "the inner side";
  const estimated = Math.round(outer?.estimated.all_rows ?? 0);
  const real = outer?.actual?.rows ?? 0;
  return [
    {
      code: "nested_loop_index",
      severity: weigh(plan, share),
      node: at(lookup),
      message: `${table} was looked up ${several(loops, "time")}, row by row: ${ms(time)} with the loop itself, ${percent(share)} of the time.`,
      evidence: {
        loops,
        time_ms: Math.round(time * 1000) / 1000,
        share: Math.round(share * 1000) / 1000,
        outer_estimated_rows: estimated,
        outer_rows: real,
        table_rows: rows > 0 ? rows : null,
        work_mem_kb: facts.work_mem_kb,
      },
      advice: `A hash or merge join would read ${table} once. ${why(plan, facts, estimated, real)}`,
    },
  ];
}

/** Why the planner did not take one. */
function why(plan: Plan, facts: Facts, estimated: number, real: number): string {
  const off = ["enable_hashjoin", "enable_mergejoin"].filter(
    (name) => plan.settings[name] === "off",
  );
  if (off.length > 0)
    return `${off.join(" and ")} ${off.length === 1 ? "is" : "are"} off here: switch it on again.`;
  if (estimated * FACTOR < real)
    return `It was not taken since the outer side was estimated at ${several(estimated, "row")} and gave ${count(real)}: correct that (see misestimate): ANALYZE its tables, a larger statistics target, or CREATE STATISTICS where conditions depend on each other.`;
  return `The rows were estimated about right, so that it was the costs: see with SET enable_nestloop = off whether it is faster. If it is, its hash did not fit into work_mem (${facts.work_mem_kb} kB here), random_page_cost is below what reading costs, statistics of the join columns are missing (ANALYZE), or the join has no plain equality.`;
}
