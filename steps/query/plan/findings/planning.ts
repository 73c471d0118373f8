import { ms, type Rule } from "../finding.ts";

/** Milliseconds: shorter planning is nobody's problem. */
const MS = 10;

/** Statements that take longer to plan than to run. */
export const planningTime: Rule = (plan) => {
  const { planning_ms: planning, execution_ms: execution } = plan;
  if (planning === null || execution === null || planning < MS || planning <= execution) return [];
  return [
    {
      code: "planning_time",
      severity: "warning",
      node: null,
      message: `Planning took ${ms(planning)}, running it ${ms(execution)}.`,
      evidence: { planning_ms: planning, execution_ms: execution },
      advice:
        "Use a prepared statement, so that it is planned once. Many partitions or joins make planning long: let the condition name the partition key, lower join_collapse_limit, or drop indexes that nothing uses. The first statement of a session also pays for reading the catalogues.",
    },
  ];
};
