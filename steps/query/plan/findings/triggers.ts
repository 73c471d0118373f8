import { type Facts, ms, percent, type Rule, weigh, several } from "../finding.ts";
import type { Trigger } from "../tree.ts";

const SHARE = 0.1;
const MS = 10;

/** Changes whose time goes into triggers, those of foreign keys among them. */
export const triggerTime: Rule = (plan, facts) =>
  ofWholeTables(plan.triggers, facts).flatMap((trigger) => {
    const share = plan.execution_ms ? trigger.time_ms / plan.execution_ms : 0;
    if (trigger.time_ms < MS || share < SHARE) return [];
    const { constraint, relation, calls } = trigger;
    return [
      {
        code: "trigger_time" as const,
        severity: weigh(plan, share),
        node: null,
        message: `${constraint === null ? `Trigger ${trigger.name}` : `The check of ${constraint}`}${relation === "" ? "" : ` on ${relation}`} took ${ms(trigger.time_ms)} in ${several(calls, "call")}, ${percent(share)} of the execution time.`,
        evidence: {
          trigger: trigger.name,
          constraint,
          relation,
          calls,
          time_ms: trigger.time_ms,
          execution_ms: plan.execution_ms,
        },
        advice:
          constraint === null
            ? "Look at the work of the trigger; a trigger FOR EACH STATEMENT with a transition table does it once for all rows."
            : `Create an index on the referencing columns of ${constraint}: without it each changed row reads the whole referencing table.`,
      },
    ];
  });

/** The triggers of one name on the partitions of a table as one. */
function ofWholeTables(triggers: readonly Trigger[], facts: Facts): Trigger[] {
  const tableOf = (trigger: Trigger) =>
    facts.relations.find(({ name }) => name === trigger.relation)?.root?.name ?? trigger.relation;
  const groups = Map.groupBy(triggers, (trigger) =>
    JSON.stringify([trigger.constraint ?? trigger.name, tableOf(trigger)]),
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const sum = (of: (trigger: Trigger) => number) =>
      group.reduce((total, trigger) => total + of(trigger), 0);
    return [
      {
        ...first,
        relation: tableOf(first),
        calls: sum(({ calls }) => calls),
        time_ms: sum(({ time_ms }) => time_ms),
      },
    ];
  });
}
