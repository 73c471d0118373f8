import { at, type Rule, weigh } from "../finding.ts";
import { number, walk } from "../tree.ts";

/** Parallel plans that did not get the workers they were made for. */
export const missingWorkers: Rule = (plan) =>
  [...walk(plan.root)].flatMap((node) => {
    const planned = number(node, "workers_planned");
    const launched = number(node, "workers_launched");
    if (node.actual === null || node.actual.loops === 0 || launched >= planned) return [];
    const share = plan.execution_ms ? (node.actual.time_ms ?? 0) / plan.execution_ms : null;
    return [
      {
        code: "workers_not_launched",
        severity: weigh(plan, share) === "info" ? "info" : "warning",
        node: at(node),
        message: `${launched} of ${planned} planned parallel workers were launched.`,
        evidence: { workers_planned: planned, workers_launched: launched },
        advice:
          "The others were busy or not allowed: raise max_parallel_workers (and max_worker_processes, by restart) when the machine has CPUs to spare, or lower max_parallel_workers_per_gather so that plans do not count on them.",
      },
    ];
  });
