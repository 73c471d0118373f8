import { errorRecord } from "../envelope.ts";
import { type PgdbaError, toPgdbaError } from "../errors.ts";
import { UnknownValue } from "../expr/unknown.ts";
import type { StepRow } from "../journal/journal.ts";
import { parseDuration } from "../shared/units.ts";
import type {
  ActionStep,
  BlockStep,
  Effect,
  Json,
  Step,
  StepResult,
  StepStatus,
} from "../types.ts";
import { type Acted, act } from "./act.ts";
import { attempt, everyOf, startDeadline } from "./attempt.ts";
import { runBlock, takeFailure } from "./block.ts";
import { call } from "./call.ts";
import { holds } from "./condition.ts";
import { keeping } from "./keep.ts";
import { askAgain, noteStale } from "./fresh.ts";
import { knownIn } from "./known.ts";
import { runLoop } from "./loop.ts";
import { COUNTED_BELOW_MS, pace } from "./pace.ts";
import { happenedBefore } from "./restore.ts";
import { failureBefore, recordFailure } from "./saw.ts";
import { Rounds, tryNumber } from "./rounds.ts";
import { asSeen, fillRest } from "./seen.ts";
import { markSensitive, type Watch } from "./sensitive.ts";
import {
  anyOf,
  assertMayBegin,
  begunBefore,
  hasInner,
  type RunState,
  type Scope,
  stopSignal,
  type UndoEntry,
  variables,
} from "./state.ts";
import { cut } from "../shared/cut.ts";
import { recordedError, stepError, withheld } from "./step-error.ts";

const MAX_BACKOFF_MS = 30_000;

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

/** Puts a result where expressions see it. */
function see(scope: Scope, step: Step, result: object, sensitive: boolean): void {
  if (sensitive) markSensitive(result);
  scope.steps[step.id] = result;
}

/** Runs a step without its `foreach`: its condition, its attempts, its record. @returns its result, also put into `scope.steps` */
async function runOne(
  state: RunState,
  step: Step,
  scope: Scope,
  path: string,
  item?: string,
): Promise<StepResult> {
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
  const type = step.kind === "action" ? step.type : "block";
  const startedAt = state.clock.now().toISOString();
  const started = state.clock.monotonic();
  const row = state.memo.get(path);
  // The attempts of an earlier process count; those of what it called are come by again.
  let attempts = row && unfinished(row) && !hasInner(state, path) ? (row.attempts ?? 1) : 1;
  /** The number of times that the work was done, over all attempts and tries of `until`. */
  let performed = 0;
  const rounds = Rounds.of(state, step, scope, path);
  const hasNextTry = () => hasInner(state, `${path}@${tryNumber(rounds, performed + 1)}`);
  const trail: { entry?: UndoEntry } = {};
  // Until an attempt says otherwise, it may have changed something.
  let effect: Effect = "change";
  let sensitive = step.sensitive ?? scope.hidden.all;
  let restored: StepResult | undefined;
  const finish = (
    status: StepStatus,
    output: Json,
    changed: boolean,
    error: PgdbaError | null,
  ): StepResult => {
    const duration = Math.round((state.clock.monotonic() - started) * 1000) / 1000;
    const record = error && errorRecord(error);
    const result = restored ?? {
      status,
      changed,
      attempts,
      started_at: startedAt,
      duration_ms: duration,
      output,
      error: record,
    };
    const at = { path, id: step.id, type };
    if (!restored && step.kind === "action") {
      state.journal.outcome(
        state.id,
        {
          ...at,
          phase: scope.phase,
          effect,
          sensitive,
          // If this process can't come to the step again, it has acted as far as the record tells.
          happened: trail.entry?.happened ?? (row ? happenedBefore(row) : "no"),
        },
        { ...result, output: knownIn(state, result.output) },
      );
    }
    state.summaries.push({
      ...at,
      status,
      changed: result.changed,
      attempts: result.attempts,
      duration_ms: result.duration_ms,
      error: result.error && brief(result.error),
      ...(status === "previewed" && !sensitive ? { preview: output } : {}),
    });
    state.emit({
      kind: "step.finished",
      ...at,
      status,
      changed: result.changed,
      duration_ms: result.duration_ms,
      error: result.error,
    });
    see(scope, step, asSeen(result, path), sensitive);
    if (step.kind === "block" && (status === "skipped" || status === "undetermined"))
      fillRest(scope.steps, step, { path, at: startedAt, status });
    if (trail.entry) trail.entry.result ??= result;
    return result;
  };

  /** Between two attempts the step is not under way, and what is known of it is on record. */
  const pause = (next = attempts) => {
    const { entry } = trail;
    if (entry?.effect === "change" && !state.plan)
      state.journal.betweenAttempts(state.id, path, { happened: entry.happened, attempts: next });
  };
  const counted =
    step.kind === "action" && (step.until === undefined || everyOf(step) < COUNTED_BELOW_MS);

  const named = item === undefined ? {} : { item };
  state.emit({ kind: "step.started", path, id: step.id, type, depth: scope.depth, ...named });
  const ended = failureBefore(state, path, "end") ?? failedCall(state, scope, path);
  const overall = step.until === undefined ? undefined : startDeadline(state, step, path, rounds);
  try {
    // A resumed run goes by what it saw then, not by what the target shows now.
    const skip = before
      ? row?.status === "skipped" || state.saw.get(path)?.skipped === true
      : step.when !== undefined && !isWanted(state, scope, step.when);
    if (skip) {
      effect = "read";
      if (step.kind === "block" && !state.plan) state.journal.saw(state.id, path, "skipped", true);
      return finish("skipped", null, false, null);
    }
    for (;;) {
      try {
        const done = await attempt(
          state,
          step,
          scope,
          {
            path,
            async perform(deadline) {
              const own = rounds?.begin(scope) ?? scope;
              if (performed > 0 && counted) await pace(state);
              performed += 1;
              const time = tryNumber(rounds, performed);
              const within = ended ? { ...own, ended } : own;
              const isRound = rounds !== undefined;
              const job = { path, time, attempts, trail, deadline, isRound };
              return perform(state, step, within, job);
            },
            take: () => takeFailure(state, scope, runSteps),
            pause: () => pause(),
            over: () => (ended && !hasNextTry() ? ended : undefined),
            rounds,
          },
          overall,
        );
        ({ effect, sensitive, restored } = done);
        if (ended) throw ended;
        if (restored?.error) throw recordedError(restored.error);
        return finish(done.status, done.output, done.changed, null);
      } catch (thrown) {
        if (thrown instanceof UnknownValue) throw thrown;
        const error = stepError(thrown, scope, step, path);
        const late = overall !== undefined && state.clock.monotonic() >= overall.ends;
        const next = hasNextTry();
        if (!next && !error.final && ended) throw ended;
        if (restored || (late && !next)) throw error;
        if (!next && !shouldRetry(state, step, scope, error, attempts)) throw error;
        if (!(await takeFailure(state, scope, runSteps))) throw error;
        pause(attempts + 1);
        const delay = Math.min(
          parseDuration(step.retry?.backoff ?? "1s") * 2 ** (attempts - 1),
          MAX_BACKOFF_MS,
        );
        attempts += 1;
        state.emit({
          kind: "step.retrying",
          path,
          attempt: attempts,
          delay_ms: delay,
          error: errorRecord(error),
        });
        // A resumed run has waited before.
        if (!state.over && !scope.ended && !hasNextTry())
          await state.clock.sleep(delay, stopSignal(state, scope, overall?.controller.signal));
      }
    }
  } catch (thrown) {
    if (thrown instanceof UnknownValue && state.plan)
      return finish("undetermined", null, false, null);
    const error = stepError(thrown, scope, step, path);
    const status =
      error.code === "interrupted" ? (state.stop.hard.aborted ? "unknown" : "cancelled") : "failed";
    if (status === "unknown" || error.code === "lock_lost" || error.code === "journal_failed") {
      // The journal keeps the step as it is: open, or never started. Nothing may be written in its name now.
      state.summaries.push({
        path,
        id: step.id,
        type,
        status: "unknown",
        changed: false,
        attempts,
        duration_ms: state.clock.monotonic() - started,
        error: brief(error),
      });
      throw error;
    }
    if (error.code === "needs_operator") throw error;
    if (step.kind === "block") recordFailure(state, scope, { path, what: "end" }, error);
    const result = finish(status, null, false, error);
    const ignored =
      step.ignore_error && !error.final && (await takeFailure(state, scope, runSteps));
    if (ignored) return result;
    throw error;
  } finally {
    overall?.clear();
  }
}

/** True when an earlier process left off in the middle of it, or before another attempt. */
function unfinished({ status }: StepRow): boolean {
  return status === "open" || status === "unknown" || status === "retrying";
}

/** The end that an earlier process saw of a step that had called runbooks: these are gone through again, and may all have ended well. */
function failedCall({ memo, inner }: RunState, scope: Scope, path: string): PgdbaError | undefined {
  const error = memo.get(path)?.result?.error;
  const stands = error && inner.has(path) && !scope.unwinding;
  return stands ? recordedError(error) : undefined;
}

/** True when the condition of a step holds. Its failure may tell a sensitive value. */
function isWanted(state: RunState, scope: Scope, when: string): boolean {
  const watch: Watch = { read: false };
  try {
    return holds(when, variables(state, scope, watch));
  } catch (thrown) {
    throw watch.read ? withheld(thrown, "The condition") : thrown;
  }
}

function brief({ code, message }: { code: string; message: string }) {
  return { code, message: cut(message) };
}

function shouldRetry(
  state: RunState,
  step: Step,
  scope: Scope,
  error: PgdbaError,
  attempts: number,
): boolean {
  if (!step.retry || attempts >= step.retry.attempts || error.final || scope.deadline?.aborted)
    return false;
  if (step.retry.on === undefined) return error.retryable;
  try {
    const vars = variables(state, scope);
    return holds(step.retry.on, { ...vars, error: errorRecord(error) });
  } catch (thrown) {
    // The failure of the step is the one to report.
    state.warnings.push(`retry.on of ${step.id}: ${toPgdbaError(thrown).message}`);
    return false;
  }
}

async function perform(
  state: RunState,
  step: ActionStep | BlockStep,
  scope: Scope,
  job: {
    path: string;
    time: number;
    attempts: number;
    trail: { entry?: UndoEntry };
    deadline: AbortSignal | undefined;
    isRound: boolean;
  },
): Promise<Acted> {
  const { path, time, attempts, trail, deadline } = job;
  if (step.until !== undefined && !job.isRound) scope = { ...scope, repeated: true };
  if (step.kind === "block") return runBlock(state, step, scope, path, time, deadline, runSteps);
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
      return call(state, inner, runbook, params, prefix, read, runSteps);
    },
  });
}
