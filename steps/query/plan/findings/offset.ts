import { at, type Rule, weigh, several } from "../finding.ts";
import { type PlanNode, walk } from "../tree.ts";

const ROWS = 10_000;

/** Pages found by counting from the beginning each time. */
export const largeOffsets: Rule = (plan) =>
  [...walk(plan.root)].flatMap((node) => {
    const child = node.children.find(({ role }) => role === "outer");
    if (node.type !== "Limit" || child === undefined) return [];
    const skipped = node.actual === null ? estimated(node, child) : actual(node, child);
    if (skipped < ROWS) return [];
    const share = node.actual === null ? null : skipped / Math.max(1, child.actual?.rows ?? 1);
    return [
      {
        code: "large_offset",
        severity: weigh(plan, share),
        node: at(node),
        message: `OFFSET made ${several(skipped, "row")} ready and threw ${skipped === 1 ? "it" : "them"} away.`,
        evidence: { rows_skipped: skipped, rows_returned: node.actual?.rows ?? null },
        advice:
          "Remember the last row that was shown and continue after it: WHERE (key) > (last key) ORDER BY key LIMIT n, with an index on the key.",
      },
    ];
  });

function actual(node: PlanNode, child: PlanNode): number {
  return (child.actual?.rows ?? 0) - (node.actual?.rows ?? 0);
}

/** The inverse of adjust_limit_rows_costs (pathnode.c), which charges the skipped rows to the cost of the first one. */
function estimated(node: PlanNode, child: PlanNode): number {
  const { startup_cost, total_cost, rows } = child.estimated;
  const span = total_cost - startup_cost;
  if (span <= 0) return 0;
  return Math.round(((node.estimated.startup_cost - startup_cost) * rows) / span);
}
