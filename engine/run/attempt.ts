import { PgdbaError } from "../errors.ts";
import { explain } from "../expr/cel.ts";
import { UnknownValue } from "../expr/unknown.ts";
import { parseDuration } from "../shared/units.ts";
import type { Step } from "../types.ts";
import type { Acted } from "./act.ts";
import { holds } from "./condition.ts";
import { timeoutError } from "./context.ts";
import { UNKNOWN } from "./seen.ts";
import { type Watch, withMore } from "./sensitive.ts";
import { isGathering, type RunState, type Scope, stopSignal, variables } from "./state.ts";
import { withheld } from "./step-error.ts";

const DEFAULT_UNTIL_TIMEOUT = "60s";
const DEFAULT_EVERY = "1s";
/** The longest time that a timer takes, ms (24 days); given more, it fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The parts of an attempt. */
interface Attempt {
  path: string;
  /** Does the work once. */
  perform(deadline: AbortSignal | undefined): Promise<Acted>;
  /** Says that a failure does not end the run. @returns false when it does nevertheless */
  take(): Promise<boolean>;
  /** Is called when a try has ended and another will follow. */
  pause(): void;
  /** The end of it in an earlier process, once this one has gone through all that it had begun. */
  over(): PgdbaError | undefined;
  /** Is called when a try has ended that was a round of a runbook that watches. */
  rounds?: { end(): Promise<void> } | undefined;
}

/** Time between two tries of `until`, ms. */
export function everyOf({ every = DEFAULT_EVERY }: Step): number {
  return parseDuration(every);
}

/** The time that a step has. */
interface Deadline {
  /** As written: `20s`. */
  limit: string;
  /** On the run's clock, ms. */
  ends: number;
  controller: AbortController;
  clear(): void;
}

/**
 * The time that one attempt of `step` has, or with `until` all of them together; undefined without a limit. The rounds of a runbook that
 * watches are `endless` unless it says otherwise.
 */
export function startDeadline(
  state: RunState,
  step: Step,
  path: string,
  endless?: unknown,
): Deadline | undefined {
  if (endless && step.timeout === undefined)
    return { limit: "ever", ends: Infinity, controller: new AbortController(), clear: () => {} };
  const limit = step.timeout ?? (step.until === undefined ? undefined : DEFAULT_UNTIL_TIMEOUT);
  if (limit === undefined) return undefined;
  const controller = new AbortController();
  const ms = parseDuration(limit);
  const expire = () => controller.abort(timeoutError(path, limit));
  const timer = setTimeout(expire, Math.min(ms, MAX_TIMER_MS));
  const ends = state.clock.monotonic() + ms;
  return { limit, ends, controller, clear: () => clearTimeout(timer) };
}

/** Makes an attempt of a step; with `until`, as many tries as it takes before the deadline, which holds for all attempts. */
export async function attempt(
  state: RunState,
  step: Step,
  scope: Scope,
  job: Attempt,
  overall: Deadline | undefined,
): Promise<Acted> {
  if (overall) return poll(state, step, scope, { ...job, deadline: overall });
  const deadline = startDeadline(state, step, job.path);
  try {
    return await job.perform(deadline?.controller.signal);
  } finally {
    deadline?.clear();
  }
}

async function poll(
  state: RunState,
  step: Step,
  scope: Scope,
  job: Attempt & { deadline: Deadline },
): Promise<Acted> {
  const { path } = job;
  const { limit, ends, controller } = job.deadline;
  const deadline = controller.signal;
  const every = everyOf(step);
  const stop = stopSignal(state, scope, deadline);
  let last = "";
  for (let round = 1; ; round++) {
    try {
      const done = await job.perform(deadline);
      // A step that did not act has no output to wait with.
      if (done.restored || UNKNOWN.includes(done.status)) return done;
      const watch: Watch = { read: done.sensitive };
      const more = { output: done.output, attempt: round };
      const vars = withMore(variables(state, scope, watch), more);
      try {
        // A plan shows one round, and so does a test.
        const isShown = scope.runbook.watches && (state.plan || state.oneRound);
        if (holds(step.until!, vars) || isShown) return done;
      } catch (thrown) {
        throw watch.read ? withheld(thrown, "The condition of until") : thrown;
      }
      // In a plan nothing changes, so a wait for a change would not end.
      if (state.plan) throw new UnknownValue(path);
      const mask = (text: string) => state.secrets.redact(text);
      last = watch.read ? "" : explain(step.until!, vars, mask).text;
    } catch (thrown) {
      if (deadline.aborted) throw withTrace(deadline.reason, last);
      const passing = thrown instanceof PgdbaError && thrown.retryable && !scope.deadline?.aborted;
      if (!passing || !(await job.take())) throw thrown;
      last = thrown.message;
    }
    const over = job.over();
    if (over) throw over;
    job.pause();
    await job.rounds?.end();
    // The timer may be late, and the clock of a test runs ahead of it.
    if (state.clock.monotonic() >= ends) controller.abort(timeoutError(path, limit));
    try {
      // The results of an earlier process are only gathered, so nothing is waited for.
      if (!isGathering(state, scope)) await state.clock.sleep(every, stop);
    } catch (reason) {
      throw deadline.aborted ? withTrace(deadline.reason, last) : reason;
    }
  }
}

/** The timeout, with what the condition was seen to be last. */
function withTrace(reason: PgdbaError, last: string): PgdbaError {
  if (last === "") return reason;
  const { code, message, hint, retryable, final } = reason;
  return new PgdbaError(code, `${message}; it was last:\n${last}`, {
    hint,
    retryable,
    final,
    cause: reason,
  });
}
