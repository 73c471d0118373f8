import { at, type Finding, ms, percent, type Rule, weigh, several } from "../finding.ts";
import { type Plan, type PlanNode, walk, withAncestors } from "../tree.ts";
import { settingsFirst } from "./unused-index.ts";
import { isListScan } from "./unhashed-sub-plan.ts";

const LOOPS = 1000;
/** Share of the execution time, and milliseconds. */
const SHARE = 0.2;
const MS = 20;

/** Sub-queries that depend on the row outside of them and are run again for each. */
export const repeatedSubPlans: Rule = (plan) =>
  [...withAncestors(plan.root)].flatMap(([node, [parent]]) =>
    node.role === "sub_plan" && !isListScan(node, parent) ? judge(node, plan) : [],
  );

function judge(node: PlanNode, plan: Plan): Finding[] {
  const loops = node.actual?.loops ?? 0;
  const time = node.actual?.time_ms ?? 0;
  const share = plan.execution_ms ? Math.min(1, time / plan.execution_ms) : 0;
  if (loops < LOOPS || time < MS || share < SHARE) return [];
  const scans = [...walk(node)].filter(({ relation }) => relation !== null);
  const tables = [...new Set(scans.map(({ relation }) => relation?.name ?? ""))];
  const name = node.subplan ?? "The sub-query";
  const whole = scans.find(({ type }) => type === "Seq Scan")?.relation?.name;
  return [
    {
      code: "sub_plan_loops",
      severity: weigh(plan, share),
      node: at(node),
      message: `${name} was run ${several(loops, "time")}, once for each row outside of it: ${ms(time)}, ${percent(share)} of the time.`,
      evidence: {
        loops,
        time_ms: Math.round(time * 1000) / 1000,
        share: Math.round(share * 1000) / 1000,
        tables,
      },
      advice: `Write the correlated sub-query as a join, which reads ${tables.join(", ") || "its input"} once: LEFT JOIN (SELECT key, … GROUP BY key) on the columns that it compares with the row outside; EXISTS or IN where only being there matters.${whole === undefined ? "" : ` ${settingsFirst(plan.settings)}Until then an index on the columns of ${whole} that it compares saves reading all of it each time.`}`,
    },
  ];
}
