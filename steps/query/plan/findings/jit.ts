import { ms, percent, type Rule, weigh } from "../finding.ts";

const SHARE = 0.1;
const MS = 10;

/** Statements that spend their time on being compiled. */
export const jitCost: Rule = (plan) => {
  const spent = plan.jit?.total_ms ?? 0;
  const share = plan.execution_ms ? spent / plan.execution_ms : 0;
  if (plan.jit === null || spent < MS || share <= SHARE) return [];
  return [
    {
      code: "jit_cost",
      severity: weigh(plan, share),
      node: null,
      message: `JIT compiled ${plan.jit.functions} functions in ${ms(spent)}, ${percent(share)} of the execution time.`,
      evidence: {
        functions: plan.jit.functions,
        jit_ms: spent,
        execution_ms: plan.execution_ms,
        parts: plan.jit.parts,
      },
      advice:
        "SET jit = off for this statement, or raise jit_above_cost (100000 by default) beyond its cost; off for the whole server when its statements are short.",
    },
  ];
};
