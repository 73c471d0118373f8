import { errorRecord } from "../envelope.ts";
import { type PgdbaError } from "../errors.ts";
import type { Json, Step, StepResult, StepStatus } from "../types.ts";
import { type Acted, act } from "./act.ts";
import { runBlock } from "./block.ts";
import { call } from "./call.ts";
import { askAgain, noteStale } from "./fresh.ts";
import { keeping } from "./keep.ts";
import { runLoop } from "./loop.ts";
import { type At, brief, OneStep, see, type Try } from "./one-step.ts";
import { pace } from "./pace.ts";
import { asSeen } from "./seen.ts";
import { anyOf, assertMayBegin, begunBefore, type RunState, type Scope } from "./state.ts";
import { stepError } from "./step-error.ts";

/** Runs steps one after the other; the first that fails ends the rest. */
export async function runSteps(
  state: RunState,
  steps: readonly Step[],
  scope: Scope,
): Promise<void> {
  for (const step of steps) await runStep(state, step, scope);
}

async function runStep(state: RunState, step: Step, scope: Scope): Promise<void> {
  const path = scope.prefix + step.id;
  await keeping(state, step, scope, path, async () =>
    step.foreach === undefined
      ? (await runOne(state, step, scope, path)).status
      : runEach(state, step, scope, path),
  );
  noteStale(state, { step, scope, path });
}

/** A step with a `foreach`. */
async function runEach(
  state: RunState,
  step: Step,
  scope: Scope,
  path: string,
): Promise<StepStatus> {
  const started = state.clock.monotonic();
  const startedAt = state.clock.now().toISOString();
  const at = { path, id: step.id, type: "foreach" };
  const finish = (
    status: StepStatus,
    output: Json,
    changed: boolean,
    error: PgdbaError | null,
    sensitive: boolean,
  ) => {
    const duration_ms = state.clock.monotonic() - started;
    const record = error && errorRecord(error);
    const about = { ...at, status, changed, duration_ms };
    state.summaries.push({ ...about, attempts: 1, error: record && brief(record) });
    state.emit({ kind: "step.finished", ...about, error: record });
    const result: StepResult = {
      status,
      changed,
      attempts: 1,
      started_at: startedAt,
      duration_ms,
      output,
      error: record,
    };
    see(scope, step, asSeen(result, path, output), sensitive);
  };
  if (!begunBefore(state, step, path, scope.prefix)) await askAgain(state, scope, runStep);
  state.emit({ kind: "step.started", ...at, depth: scope.depth });
  try {
    const done = await runLoop(state, step, scope, path, runOne);
    finish(done.status, done.output, done.changed, null, done.sensitive);
    return done.status;
  } catch (thrown) {
    const error = stepError(thrown, scope, step, path);
    finish(error.code === "interrupted" ? "cancelled" : "failed", null, false, error, false);
    throw error;
  }
}

/** Runs a step without its `foreach`: its condition, its attempts, its record. @returns its result, also put into `scope.steps` */
async function runOne(
  state: RunState,
  step: Step,
  scope: Scope,
  path: string,
  item?: string,
): Promise<StepResult> {
  const before = await mayBegin(state, step, scope, path);
  const one = new OneStep({ state, step, scope, path }, { runSteps, perform });
  one.start(item);
  try {
    return one.isSkipped(before) ? one.skip() : await one.work();
  } catch (thrown) {
    return await one.fail(thrown);
  } finally {
    one.clear();
  }
}

/** @returns true when an earlier process began the step. @throws PgdbaError when no step may begin now */
async function mayBegin(state: RunState, step: Step, scope: Scope, path: string): Promise<boolean> {
  if (step.kind === "action") {
    await pace(state).catch((thrown: unknown) => {
      throw stepError(thrown, scope, step, path);
    });
  }
  // When a stopped run is resumed, its earlier steps are gathered first, so that they can be undone.
  const before = begunBefore(state, step, path, scope.prefix);
  if (!before) await askAgain(state, scope, runStep);
  state.stop.hard.throwIfAborted();
  if (!before) assertMayBegin(state, scope);
  return before;
}

async function perform({ state, step, scope: outer, path }: At, once: Try): Promise<Acted> {
  const { time, attempts, trail, deadline } = once;
  const again = step.until !== undefined && !once.isRound;
  const scope = again ? { ...outer, repeated: true } : outer;
  if (step.kind === "block")
    return runBlock({ state, step, scope, path }, { attempt: time, deadline }, runSteps);
  return act({
    state,
    scope,
    step,
    path,
    attempt: time,
    attempts,
    trail,
    deadline,
    askAgain: () => askAgain(state, scope, runStep),
    call(runbook, params, prefix, read) {
      const hidden = { ...scope.hidden, all: step.sensitive ?? scope.hidden.all };
      const inner = { ...scope, hidden, deadline: anyOf(scope.deadline, deadline) };
      return call(state, inner, { name: runbook, given: params, prefix, read }, runSteps);
    },
  });
}
