import { errorRecord } from "../envelope.ts";
import { toPgdbaError } from "../errors.ts";
import { unknownOutput } from "../expr/unknown.ts";
import type { BlockStep, Json, Step } from "../types.ts";
import type { Acted } from "./act.ts";
import { knownIn } from "./known.ts";
import { outputOf } from "./output.ts";
import { fillRest, inside, resultOf, UNKNOWN } from "./seen.ts";
import { asBefore, outputAsBefore, recordFailure } from "./saw.ts";
import type { Watch } from "./sensitive.ts";
import {
  anyBegunBefore,
  anyOf,
  isGathering,
  mayLack,
  type RunState,
  type Scope,
  variables,
} from "./state.ts";
import { withheld } from "./step-error.ts";

type RunSteps = (state: RunState, steps: readonly Step[], scope: Scope) => Promise<void>;

/**
 * A block: its steps; on failure its `rescue`; and its `always`, at once when the run goes on, but only after the undo phase when
 * the failure ends the run (the order of design: rescue, undo, always). Which of the two it is shows further out.
 */
export async function runBlock(
  { state, step, scope, path }: { state: RunState; step: BlockStep; scope: Scope; path: string },
  { attempt, deadline }: { attempt: number; deadline: AbortSignal | undefined },
  runSteps: RunSteps,
): Promise<Acted> {
  const inner: Scope = {
    ...scope,
    depth: scope.depth + 1,
    hidden: { ...scope.hidden, all: step.sensitive ?? scope.hidden.all },
    prefix: attempt === 1 ? scope.prefix : `${path}@${attempt}/`,
  };
  const sensitive = step.sensitive ?? scope.hidden.all;
  const done: Acted = { output: null, status: "ok", changed: false, effect: "read", sensitive };
  const at = attempt === 1 ? path : `${path}@${attempt}`;
  let failure: { thrown: unknown } | undefined;
  try {
    const block: Scope = { ...inner, deadline: anyOf(scope.deadline, deadline) };
    await asBefore(state, block, at, (within) => runSteps(state, step.block, within));
  } catch (thrown) {
    failure = { thrown };
  }
  if (failure && step.rescue) {
    const error = toPgdbaError(failure.thrown, "step_failed");
    const mayRescue = isGathering(state, scope)
      ? anyBegunBefore(state, step.rescue, inner.prefix)
      : !scope.deadline?.aborted;
    if (!error.final && mayRescue && (await takeFailure(state, scope, runSteps))) {
      try {
        // The steps that undo the run are tried again, but not a failure that a rescue has taken.
        recordFailure(state, { ...scope, unwinding: false }, { path: at, what: "failure" }, error);
        await runSteps(state, step.rescue, {
          ...inner,
          extra: { ...scope.extra, error: errorRecord(error) },
        });
        failure = undefined;
        done.status = "recovered";
      } catch (thrown) {
        failure = { thrown };
      }
    }
  }
  if (step.always) {
    // A run that was told to stop ends like one that failed.
    const later = state.over
      ? failure || !anyBegunBefore(state, step.always, inner.prefix)
      : failure || state.stop.soft.aborted;
    if (!scope.unwinding && later) {
      state.deferred.push({ step, scope: inner });
    } else {
      try {
        await runAlways(state, step, inner, runSteps);
      } catch (thrown) {
        // That a person must look is more important than the failure before it.
        if (!failure || toPgdbaError(thrown).final) failure = { thrown };
      }
    }
  }
  // A block did something when one of its steps did; in a plan neither counts as done.
  const results = inside(step).flatMap(({ id }) => resultOf(scope.steps[id]) ?? []);
  const unknown = done.status === "ok" && results.find(({ status }) => UNKNOWN.includes(status));
  const now = state.clock.now().toISOString();
  fillRest(scope.steps, step, { path, at: now, status: unknown ? "undetermined" : "skipped" });
  if (failure) throw failure.thrown;
  done.changed = results.some((result) => result.changed);
  if (unknown) return { ...done, status: unknown.status as Acted["status"] };
  if (step.output) {
    const place = { doc: scope.runbook.doc, path: [...step.at, "output"] };
    const standIn = (key: string, why: string) =>
      unknownOutput(`steps.${step.id}.output.${key}`, why) as Json;
    const watch: Watch = { read: false };
    const vars = variables(state, scope, watch);
    const { output } = step;
    done.output = outputAsBefore(state, scope, { path: at, what: "output" }, () => {
      try {
        const made = outputOf(output, place, vars, mayLack(state) ? standIn : undefined);
        scope.kept.put(path, knownIn(state, made));
        return made;
      } catch (thrown) {
        throw watch.read ? withheld(thrown, "The output") : thrown;
      }
    });
    done.sensitive ||= step.sensitive ?? (watch.read || watch.secret === true);
  }
  return done;
}

/** Clean-up: neither a first signal nor the timeout of what it cleans up after cuts it short. */
export function runAlways(
  state: RunState,
  step: BlockStep,
  scope: Scope,
  runSteps: RunSteps,
): Promise<void> {
  return runSteps(state, step.always ?? [], {
    ...scope,
    unwinding: true,
    deadline: undefined,
    ended: undefined,
  });
}

/**
 * A failure inside `scope` does not end the run: the `always` blocks that waited for that run now. @returns false when one of them
 * fails; then something was left behind, and the failure stands
 */
export async function takeFailure(
  state: RunState,
  scope: Scope,
  runSteps: RunSteps,
): Promise<boolean> {
  // Items of a loop that runs in parallel have prefixes of their own, so one doesn't take what is another's.
  const mine = state.deferred.filter((one) => one.scope.prefix.startsWith(scope.prefix));
  let clean = true;
  for (const one of mine) {
    // While what an earlier process did is gathered, only what it began is come by again.
    if (state.over && !anyBegunBefore(state, one.step.always ?? [], one.scope.prefix)) continue;
    state.deferred.splice(state.deferred.indexOf(one), 1);
    try {
      await runAlways(state, one.step, one.scope, runSteps);
    } catch (thrown) {
      if (toPgdbaError(thrown).final) throw thrown;
      clean = false;
      state.warnings.push(
        `always of ${one.scope.prefix}${one.step.id}: ${toPgdbaError(thrown).message}`,
      );
    }
  }
  return clean;
}
