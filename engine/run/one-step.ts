import { errorRecord } from "../envelope.ts";
import { type PgdbaError, toPgdbaError } from "../errors.ts";
import { UnknownValue } from "../expr/unknown.ts";
import type { StepRow } from "../journal/journal.ts";
import { cut } from "../shared/cut.ts";
import { parseDuration } from "../shared/units.ts";
import type { Effect, Json, Step, StepResult, StepStatus } from "../types.ts";
import type { Acted } from "./act.ts";
import { attempt, everyOf, startDeadline } from "./attempt.ts";
import { takeFailure } from "./block.ts";
import { holds } from "./condition.ts";
import { knownIn } from "./known.ts";
import { mayMove } from "./needs.ts";
import { COUNTED_BELOW_MS, pace } from "./pace.ts";
import { happenedBefore } from "./restore.ts";
import { Rounds, tryNumber } from "./rounds.ts";
import { failureBefore, recordFailure } from "./saw.ts";
import { asSeen, fillRest } from "./seen.ts";
import { markSensitive, type Watch } from "./sensitive.ts";
import {
  hasInner,
  isGathering,
  type RunState,
  type Scope,
  stopSignal,
  type UndoEntry,
  variables,
} from "./state.ts";
import { recordedError, stepError, withheld } from "./step-error.ts";

const MAX_BACKOFF_MS = 30_000;

/** A step in its run. */
export interface At {
  state: RunState;
  step: Step;
  scope: Scope;
  path: string;
}

/** One try of the work of a step. */
export interface Try {
  time: number;
  attempts: number;
  trail: { entry?: UndoEntry };
  deadline: AbortSignal | undefined;
  isRound: boolean;
}

/** The ways back into the run. */
export interface Ways {
  runSteps: (state: RunState, steps: readonly Step[], scope: Scope) => Promise<void>;
  /** Does the work of the step once. */
  perform: (at: At, once: Try) => Promise<Acted>;
}

/** A step without its `foreach`, from its condition to its record. */
export class OneStep {
  readonly #at: At;
  readonly #ways: Ways;
  readonly #type: string;
  readonly #startedAt: string;
  readonly #started: number;
  /** The record of an earlier process. */
  readonly #row: StepRow | undefined;
  readonly #rounds: Rounds | undefined;
  readonly #trail: { entry?: UndoEntry } = {};
  /** The failure that an earlier process saw at its end. */
  #ended: PgdbaError | undefined;
  #overall: ReturnType<typeof startDeadline>;
  #attempts: number;
  /** The number of times that the work was done, over all attempts and tries of `until`. */
  #performed = 0;
  /** Until an attempt says otherwise, it may have changed something. */
  #effect: Effect = "change";
  #sensitive: boolean;
  #restored: StepResult | undefined;

  constructor(at: At, ways: Ways) {
    const { state, step, scope, path } = at;
    this.#at = at;
    this.#ways = ways;
    this.#type = step.kind === "action" ? step.type : "block";
    this.#startedAt = state.clock.now().toISOString();
    this.#started = state.clock.monotonic();
    const row = state.memo.get(path);
    this.#row = row;
    // The attempts of an earlier process count; those of runbooks that it called are gone through again.
    this.#attempts = row && unfinished(row) && !hasInner(state, path) ? (row.attempts ?? 1) : 1;
    this.#rounds = Rounds.of(state, step, scope, path);
    this.#sensitive = step.sensitive ?? scope.hidden.all;
  }

  /** Tells that it begins. From now on its time runs. */
  start(item: string | undefined): void {
    const { state, step, scope, path } = this.#at;
    const about = { path, id: step.id, type: this.#type, depth: scope.depth };
    state.emit({ kind: "step.started", ...about, ...(item === undefined ? {} : { item }) });
    this.#ended = failureBefore(state, path, "end") ?? failedCall(state, scope, path);
    this.#overall =
      step.until === undefined ? undefined : startDeadline(state, step, path, this.#rounds);
  }

  clear(): void {
    this.#overall?.clear();
  }

  /**
   * True when its condition does not hold. A step that an earlier process began (`before`) goes by what that saw, not by what the target
   * shows now.
   */
  isSkipped(before: boolean): boolean {
    const { state, step, scope, path } = this.#at;
    if (before) return this.#row?.status === "skipped" || state.saw.get(path)?.skipped === true;
    return step.when !== undefined && !isWanted(state, scope, step.when);
  }

  skip(): StepResult {
    const { state, step, path } = this.#at;
    this.#effect = "read";
    if (step.kind === "block" && !state.plan) state.journal.saw(state.id, path, "skipped", true);
    return this.#finish("skipped");
  }

  /** Makes attempts until one succeeds, or none is left. */
  async work(): Promise<StepResult> {
    for (;;) {
      try {
        return await this.#attempt();
      } catch (thrown) {
        if (thrown instanceof UnknownValue) throw thrown;
        const { scope, step, path } = this.#at;
        await this.#tryAgain(stepError(thrown, scope, step, path));
      }
    }
  }

  /** Records its failure. @returns its result when the failure is ignored. @throws PgdbaError the failure otherwise */
  async fail(thrown: unknown): Promise<StepResult> {
    const { state, step, scope, path } = this.#at;
    if (thrown instanceof UnknownValue && state.plan) {
      await mayMove(state, [step], path);
      return this.#finish("undetermined");
    }
    const error = stepError(thrown, scope, step, path);
    const status =
      error.code === "interrupted" ? (state.stop.hard.aborted ? "unknown" : "cancelled") : "failed";
    if (status === "unknown" || error.code === "lock_lost" || error.code === "journal_failed") {
      this.#leave(error);
      throw error;
    }
    if (error.code === "needs_operator" || error.code === "approval_needed") throw error;
    if (step.kind === "block") recordFailure(state, scope, { path, what: "end" }, error);
    const result = this.#finish(status, { error });
    if (step.ignore_error && !error.final && (await this.#takeFailure())) {
      if (status === "cancelled" || (isGathering(state, scope) && !this.#restored && !this.#ended))
        state.cutShort.push(path);
      return result;
    }
    throw error;
  }

  async #attempt(): Promise<StepResult> {
    const { state, step, scope, path } = this.#at;
    const job = {
      path,
      perform: (deadline: AbortSignal | undefined) => this.#perform(deadline),
      take: () => this.#takeFailure(),
      pause: () => this.#pause(this.#attempts),
      over: () => (this.#ended && !this.#hasNextTry() ? this.#ended : undefined),
      rounds: this.#rounds,
    };
    const done = await attempt(state, step, scope, job, this.#overall);
    this.#effect = done.effect;
    this.#sensitive = done.sensitive;
    this.#restored = done.restored;
    if (this.#ended) throw this.#ended;
    if (this.#restored?.error) throw recordedError(this.#restored.error);
    return this.#finish(done.status, { output: done.output, changed: done.changed });
  }

  async #perform(deadline: AbortSignal | undefined): Promise<Acted> {
    const { state, step, scope } = this.#at;
    const own = this.#rounds?.begin(scope) ?? scope;
    const counted =
      step.kind === "action" && (step.until === undefined || everyOf(step) < COUNTED_BELOW_MS);
    if (this.#performed > 0 && counted) await pace(state);
    this.#performed += 1;
    const within = this.#ended ? { ...own, ended: this.#ended } : own;
    return this.#ways.perform(
      { ...this.#at, scope: within },
      {
        time: tryNumber(this.#rounds, this.#performed),
        attempts: this.#attempts,
        trail: this.#trail,
        deadline,
        isRound: this.#rounds !== undefined,
      },
    );
  }

  /** Waits for the next attempt. @throws PgdbaError the failure, when there is none */
  async #tryAgain(error: PgdbaError): Promise<void> {
    const { state, step, scope, path } = this.#at;
    const overall = this.#overall;
    const late = overall !== undefined && state.clock.monotonic() >= overall.ends;
    const next = this.#hasNextTry();
    if (!next && !error.final && this.#ended) throw this.#ended;
    if (this.#restored || (late && !next)) throw error;
    if (!next && !shouldRetry(this.#at, error, this.#attempts)) throw error;
    if (!(await this.#takeFailure())) throw error;
    this.#pause(this.#attempts + 1);
    const backoff = parseDuration(step.retry?.backoff ?? "1s") * 2 ** (this.#attempts - 1);
    const delay_ms = Math.min(backoff, MAX_BACKOFF_MS);
    this.#attempts += 1;
    const about = { path, attempt: this.#attempts, delay_ms };
    state.emit({ kind: "step.retrying", ...about, error: errorRecord(error) });
    // A resumed run has waited before.
    if (!isGathering(state, scope) && !this.#hasNextTry())
      await state.clock.sleep(delay_ms, stopSignal(state, scope, overall?.controller.signal));
  }

  /** True when an earlier process recorded steps of the next try. */
  #hasNextTry(): boolean {
    const { state, path } = this.#at;
    return hasInner(state, `${path}@${tryNumber(this.#rounds, this.#performed + 1)}`);
  }

  #takeFailure(): Promise<boolean> {
    const { state, scope } = this.#at;
    return takeFailure(state, scope, this.#ways.runSteps);
  }

  /** Between two attempts the step is not under way, and the facts about it are on record. */
  #pause(next: number): void {
    const { state, path } = this.#at;
    const { entry } = this.#trail;
    if (entry?.effect === "change" && !state.plan)
      state.journal.betweenAttempts(state.id, path, { happened: entry.happened, attempts: next });
  }

  /** Leaves the step in the journal as it is: open, or never started. Nothing may be written in its name now. */
  #leave(error: PgdbaError): void {
    const { state, step, path } = this.#at;
    state.summaries.push({
      path,
      id: step.id,
      type: this.#type,
      status: "unknown",
      changed: false,
      attempts: this.#attempts,
      duration_ms: state.clock.monotonic() - this.#started,
      error: brief(error),
    });
  }

  #finish(status: StepStatus, end: End = {}): StepResult {
    const { step, scope, path } = this.#at;
    const result = this.#restored ?? this.#resultOf(status, end);
    if (!this.#restored && step.kind === "action") this.#record(result);
    this.#tell(status, result, end.output ?? null);
    see(scope, step, asSeen(result, path), this.#sensitive);
    if (step.kind === "block" && (status === "skipped" || status === "undetermined"))
      fillRest(scope.steps, step, { path, at: this.#startedAt, status });
    const { entry } = this.#trail;
    if (entry) entry.result ??= result;
    return result;
  }

  #resultOf(status: StepStatus, { output = null, changed = false, error = null }: End): StepResult {
    const ms = this.#at.state.clock.monotonic() - this.#started;
    return {
      status,
      changed,
      attempts: this.#attempts,
      started_at: this.#startedAt,
      duration_ms: Math.round(ms * 1000) / 1000,
      output,
      error: error && errorRecord(error),
    };
  }

  #record(result: StepResult): void {
    const { state, step, scope, path } = this.#at;
    const about = {
      path,
      id: step.id,
      type: this.#type,
      phase: scope.phase,
      effect: this.#effect,
      sensitive: this.#sensitive,
      // If this process can't come to the step again, it has acted as far as the record tells.
      happened: this.#trail.entry?.happened ?? (this.#row ? happenedBefore(this.#row) : "no"),
    };
    state.journal.outcome(state.id, about, { ...result, output: knownIn(state, result.output) });
  }

  #tell(status: StepStatus, { changed, attempts, duration_ms, error }: StepResult, output: Json) {
    const { state, step, path } = this.#at;
    const about = { path, id: step.id, type: this.#type, status, changed, duration_ms };
    state.summaries.push({
      ...about,
      attempts,
      error: error && brief(error),
      ...(status === "previewed" && !this.#sensitive ? { preview: output } : {}),
    });
    state.emit({ kind: "step.finished", ...about, error });
  }
}

interface End {
  output?: Json;
  changed?: boolean;
  error?: PgdbaError | null;
}

/** Puts a result where expressions see it. */
export function see(scope: Scope, step: Step, result: object, sensitive: boolean): void {
  if (sensitive) markSensitive(result);
  scope.steps[step.id] = result;
}

/** An error in the list of steps. */
export function brief({ code, message }: { code: string; message: string }) {
  return { code, message: cut(message) };
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

function shouldRetry({ state, step, scope }: At, error: PgdbaError, attempts: number): boolean {
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
