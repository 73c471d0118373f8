import { type Facts, type Finding, type Rule, SEVERITIES } from "./finding.ts";
import { lossyBitmaps } from "./findings/bitmap.ts";
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
import { triggerTime } from "./findings/triggers.ts";
import { missingWorkers } from "./findings/workers.ts";
import { loadParser } from "./expression.ts";
import type { Plan } from "./tree.ts";

const RULES: readonly Rule[] = [
  discards,
  hiddenIndexes,
  nestedLoops,
  repeatedLookups,
  repeatedSubPlans,
  misestimates,
  spills,
  statistics,
  lossyBitmaps,
  heapFetches,
  lateCteFilters,
  largeOffsets,
  triggerTime,
  missingWorkers,
  jitCost,
  planningTime,
];

/** What is wrong with a plan, the worst first. Without execution only what the estimates show. */
export async function findings(plan: Plan, facts: Facts): Promise<Finding[]> {
  const parse = await loadParser();
  return RULES.flatMap((rule) => rule(plan, facts, parse)).toSorted(
    (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
  );
}
