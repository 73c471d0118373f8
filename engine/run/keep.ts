import type { Step, StepResult } from "../types.ts";
import { Bounded } from "./bounded.ts";
import { isAtOrBelow, type RunState, type Scope } from "./state.ts";
import { forget } from "./inverse.ts";

/** Steps that a point of no return has kept; those beyond this many are counted. */
const MAX_LISTED = 200;

/**
 * Runs `work`, a step with its loop. A step with `keep: true` that is done is a point of no return: neither it nor anything before it
 * is taken back any more. One that an earlier process had done stays one, also when it can't be come by again.
 */
export async function keeping(
  state: RunState,
  step: Step,
  scope: Scope,
  path: string,
  work: () => Promise<StepResult["status"]>,
): Promise<void> {
  const applies = step.keep === true && scope.phase === "main" && !scope.unwinding && !state.plan;
  if (!applies) {
    await work();
    return;
  }
  try {
    const status = await work();
    const done = status === "ok" || status === "recovered";
    if (done && !isCutShort(state, path)) await reach(state, scope, path);
  } catch (thrown) {
    if (state.saw.get(path)?.kept === true) await reach(state, scope, path);
    throw thrown;
  }
}

/** True when something within the step at `path` was cut short: then it is not done, whatever it ignores. */
function isCutShort({ cutShort }: RunState, path: string): boolean {
  return cutShort.some((one) => isAtOrBelow(one, path));
}

async function reach(state: RunState, scope: Scope, path: string): Promise<void> {
  state.journal.saw(state.id, path, "kept", true);
  const beside = state.undo.filter((entry) => isBeside(entry.path, scope.lanes));
  const before = state.undo.filter((entry) => !beside.includes(entry));
  state.undo.splice(0, state.undo.length, ...beside);
  const steps = new Bounded<string>(MAX_LISTED);
  for (const { effect, happened, path } of before)
    if (effect === "change" && happened !== "no") steps.push(path);
  state.kept.push({ path, steps });
  for (const entry of before) await forget(state, entry);
}

/** True when the step at `path` belongs to another item of a parallel loop than one of `lanes`: it runs beside, and not before. */
function isBeside(path: string, lanes: readonly string[]): boolean {
  return lanes.some((lane) => {
    const loop = lane.slice(0, lane.lastIndexOf("/") + 1);
    if (!path.startsWith(loop)) return false;
    const next = path.startsWith(lane) ? path.charAt(lane.length) : undefined;
    return next !== "" && next !== "/" && next !== "@";
  });
}
