import { ms, percent, type Rule, weigh } from "../finding.ts";

const SHARE = 0.1;
const MS = 10;

/** Statements that spend their time on being compiled. */
export const jitCost: Rule = (plan) => {
  const spent = plan.jit?.total_ms ?? 0;
  const summed = plan.jit?.whose === "all";
  // A sum over processes that compile at the same time may be longer than the execution.
  const share = plan.execution_ms ? Math.min(1, spent / plan.execution_ms) : 0;
  if (plan.jit === null || spent < MS || share <= SHARE) return [];
  return [
    {
      code: "jit_cost",
      severity: weigh(plan, share),
      node: null,
      message: `JIT compiled ${plan.jit.functions} functions in ${ms(spent)}, ${summed ? "in sum over all processes" : `${percent(share)} of the execution time`}.`,
      evidence: {
        functions: plan.jit.functions,
        jit_ms: spent,
        workers_ms: plan.jit.workers_ms,
        execution_ms: plan.execution_ms,
        parts: plan.jit.parts,
      },
      advice:
        "SET jit = off for this statement, or raise jit_above_cost (100000 by default) beyond its cost; off for the whole server when its statements are short.",
    },
  ];
};
