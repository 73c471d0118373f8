import {
  at,
  factsOf,
  percent,
  type Facts,
  type Finding,
  type ParseExpression,
  type Rule,
  weigh,
  several,
} from "../finding.ts";
import { hopeOf } from "./early-stop.ts";
import { scanAdvice } from "./scan-advice.ts";
import { type Actual, type Plan, type PlanNode, text, withAncestors } from "../tree.ts";
import { removedRows, isSmall } from "./scan-size.ts";

/** Thresholds of pgMustard and pganalyze for rows read and thrown away. */
const SHARE = 0.9;
const ROWS = 10_000;
/** Scans that read much and keep little; without execution by the planner's own estimates. */
export const discards: Rule = (plan, facts, parse) =>
  [...withAncestors(plan.root)].flatMap(([node, above]) => {
    if (node.relation === null || isSmall(node, facts)) return [];
    // Another rule reports it, with other advice.
    if (hopeOf(node, above) !== null) return [];
    const counted =
      node.actual === null ? expected(node, above, facts) : happened(node, node.actual);
    return counted === null ? [] : judge(node, counted, { plan, facts, parse });
  });

interface Counted {
  removed: number;
  kept: number;
}

function happened(node: PlanNode, { rows }: Actual): Counted {
  return { removed: removedRows(node), kept: rows };
}

/** Null where the plan alone can't tell: an index reads a part of the table, and a LIMIT ends the scan early. */
function expected(node: PlanNode, above: readonly PlanNode[], facts: Facts): Counted | null {
  const rows = factsOf(node, facts)?.rows ?? 0;
  const early = above.some(({ type }) => type === "Limit");
  if (node.type !== "Seq Scan" || rows <= 0 || early) return null;
  const kept = node.estimated.all_rows;
  return { removed: rows - kept, kept };
}

function judge(
  node: PlanNode,
  { removed, kept }: Counted,
  { plan, facts, parse }: { plan: Plan; facts: Facts; parse: ParseExpression },
): Finding[] {
  const read = removed + kept;
  const share = read === 0 ? 0 : removed / read;
  if (removed < ROWS || share < SHARE) return [];
  const { actual } = node;
  const table = node.relation?.name ?? "";
  const filter = text(node, "filter") ?? "";
  const does = actual === null ? "Would read" : "Read";
  return [
    {
      code: "filter_discards",
      severity: weigh(plan, actual?.share ?? null),
      node: at(node),
      message: `${does} ${several(read, "row")} of ${table} and ${actual === null ? "throw" : "threw"} ${percent(share)} of them away: ${filter}.`,
      evidence: {
        rows_read: read,
        rows_removed: removed,
        rows_kept: kept,
        removed_share: Math.round(share * 1000) / 1000,
        loops: actual?.loops ?? null,
        filter,
      },
      advice: scanAdvice(node, parse, { known: factsOf(node, facts), settings: plan.settings }),
    },
  ];
}
