import type { BlockStep, Step } from "../types.ts";
import type { Finding } from "./report.ts";

/** Why a step may have no output where an expression reads it, by step id. */
export type Absences = Record<string, Finding>;

/** A condition, or a question for the status, makes sure that an output is there before it is read. */
const GUARD = /\?|&&|\|\||\bhas\s*\(|\bin\b|[!=]=\s*null|\{\{\s*#(if|unless|with)/;

/** The steps of whose output `source` reads a part without asking whether there is one, with where they stand. */
export function* partsRead(source: string): Generator<{ id: string; start: number; end: number }> {
  if (GUARD.test(source)) return;
  for (const found of source.matchAll(/(?<![\w.])steps\.(\w+)\.output\s*[.[]/dg)) {
    const [start, end] = found.indices![1]!;
    yield { id: found[1]!, start, end };
  }
}

/** The outputs that may be absent for the steps after `step`, beside those that its block left behind. */
export function absencesAfter(step: Step): Absences {
  if (step.foreach !== undefined || (step.when === undefined && !step.ignore_error)) return {};
  const why = step.when === undefined ? "it may have failed" : "its `when` may be false";
  const inner = step.kind === "block" ? ids(step.block) : [];
  return {
    ...Object.fromEntries(inner.map((id) => [id, maybe(id, "its block may not have run")])),
    [step.id]: maybe(step.id, why),
  };
}

/** The absences that the rescue of a block leaves behind, for its `output` and for later steps. */
export function absencesOfRescue({ block, rescue }: BlockStep): Absences {
  if (!rescue) return {};
  return {
    ...Object.fromEntries(ids(block).map((id) => [id, maybe(id, "its block may have failed")])),
    ...Object.fromEntries(ids(rescue).map((id) => [id, never(id)])),
  };
}

/** In the rescue and the `always` of a block it is not known how far the block came. */
export function absencesInside({ block }: BlockStep): Absences {
  return Object.fromEntries(ids(block).map((id) => [id, maybe(id, "its block may have failed")]));
}

function ids(steps: readonly Step[]): string[] {
  return steps.flatMap((step) => [
    step.id,
    ...(step.kind === "block" && step.foreach === undefined ? ids(step.block) : []),
  ]);
}

function maybe(id: string, why: string): Finding {
  return {
    severity: "warning",
    rule: "maybe-no-output",
    message: `step \`${id}\` may have no output here: ${why}`,
    hint: `Ask first: \`steps.${id}.status == 'ok' ? … : …\`, or give this step a \`when\`.`,
  };
}

function never(id: string): Finding {
  return {
    rule: "no-output",
    message: `step \`${id}\` only runs when its block failed: it has no output otherwise`,
    hint: `Ask first: \`steps.${id}.status == 'ok' ? … : …\`, or use it inside the \`rescue\`.`,
  };
}
