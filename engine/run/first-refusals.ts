import { declarationsOf } from "../declared.ts";
import type { Step, StepRegistry } from "../types.ts";

/**
 * The number of steps at the beginning that only look, up to the first that refuses, with those that refuse right behind it. They come before the backup that a run takes first: nobody
 * waits for a backup, and none is kept, of a run that may not begin. What comes later sees the target as it is after the backup.
 */
export async function firstRefusals(
  registry: StepRegistry,
  steps: readonly Step[],
): Promise<number> {
  let looks = 0;
  for (const [at, step] of steps.entries()) {
    if (step.kind !== "action" || step.keep === true) break;
    const type = await registry.get(step.type);
    if (declarationsOf(type, step.input).effect !== "read") break;
    if (type.refuses === true) looks = at + 1;
    else if (looks > 0) break;
  }
  return looks;
}
