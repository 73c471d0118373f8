import { type Facts, type Finding, type Rule, SEVERITIES } from "./finding.ts";
import { lossyBitmaps } from "./findings/bitmap.ts";
import { earlyStops } from "./findings/early-stop.ts";
import { lateCteFilters } from "./findings/cte.ts";
import { misestimates } from "./findings/estimates.ts";
import { heapFetches } from "./findings/heap-fetches.ts";
import { hiddenIndexes } from "./findings/hidden-index.ts";
import { jitCost } from "./findings/jit.ts";
import { repeatedLookups } from "./findings/nested-loop-index.ts";
import { nestedLoops } from "./findings/nested-loop.ts";
import { largeOffsets } from "./findings/offset.ts";
import { planningTime } from "./findings/planning.ts";
import { discards } from "./findings/scans.ts";
import { spills } from "./findings/spills.ts";
import { statistics } from "./findings/statistics.ts";
import { repeatedSubPlans } from "./findings/sub-plan.ts";
import { unhashedSubPlans } from "./findings/unhashed-sub-plan.ts";
import { triggerTime } from "./findings/triggers.ts";
import { missingWorkers } from "./findings/workers.ts";
import { counted, fold, grouped } from "./fold.ts";
import { loadParser } from "./expression.ts";
import type { Plan } from "./tree.ts";

/** They count what is read and thrown away: of a partitioned table that of all partitions together. */
const OF_WHOLE_TABLES: readonly Rule[] = [
  discards,
  earlyStops,
  hiddenIndexes,
  nestedLoops,
  repeatedLookups,
  repeatedSubPlans,
  unhashedSubPlans,
  lossyBitmaps,
  heapFetches,
];
/** They judge each node by itself. */
const OF_NODES: readonly Rule[] = [misestimates, spills];
const OF_PLANS: readonly Rule[] = [
  statistics,
  lateCteFilters,
  largeOffsets,
  triggerTime,
  missingWorkers,
  jitCost,
  planningTime,
];

/** The faults of a plan, the worst first. Without execution only those that the estimates show. */
export async function findings(plan: Plan, facts: Facts): Promise<Finding[]> {
  const parse = await loadParser();
  const whole = fold(plan, facts);
  const found = [
    ...OF_WHOLE_TABLES.flatMap((rule) => rule(whole.plan, whole.facts, parse)).map((one) =>
      counted(one, whole),
    ),
    ...grouped(
      OF_NODES.flatMap((rule) => rule(plan, facts, parse)),
      plan,
      facts,
    ),
    ...OF_PLANS.flatMap((rule) => rule(plan, facts, parse)),
  ];
  return found.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
}
