import { effectOf } from "../declared.ts";
import { PgdbaError } from "../errors.ts";
import type {
  ActionStep,
  Attached,
  Effect,
  Json,
  JsonObject,
  StepContext,
  StepType,
} from "../types.ts";
import { makeContext } from "./context.ts";
import { jobName } from "./jobs.ts";
import { repeatable } from "./restore.ts";
import type { Watch } from "./sensitive.ts";
import { anyOf, assertMayBegin, type RunState, type Scope, type UndoEntry } from "./state.ts";

/** One attempt of one action, as it is asked for. */
export interface Act {
  state: RunState;
  scope: Scope;
  step: ActionStep;
  path: string;
  attempt: number;
  /** The same without the tries of `until`. */
  attempts: number;
  /** The undo entry of the step; made by its first attempt. */
  trail: { entry?: UndoEntry };
  /** Fired at the step's timeout; undefined without one. */
  deadline: AbortSignal | undefined;
  /** Asks fresh reads again before something is done. @returns whether they give something else */
  askAgain(): Promise<boolean>;
  /** `read` tells which of the parameters hold sensitive data, and is told when the output does. */
  call(runbook: string, params: JsonObject, prefix: string, read: Read): Promise<Json>;
}

/** The sensitive data that an attempt read, and the keys of its input that hold some of it. */
export type Read = Watch & { keys: Set<string | number>; pure: boolean };

/** A step that reads sensitive data is sensitive itself, unless its author says that it gives nothing of it away. */
export function isHidden({ step, scope }: Act, { read, secret, pure }: Read): boolean {
  return step.sensitive ?? (scope.hidden.all || read || (pure && secret === true));
}

/** One attempt whose input is known, and the context that its step type is given. */
export interface Ready {
  job: Act;
  type: StepType;
  read: Read;
  input: Json;
  path: string;
  effect: Effect;
  ctx: StepContext;
  /** The job that it goes on with is put here. */
  at: { job: string; attached: Attached | undefined };
  told: { unchanged: boolean };
  /** The runbooks that it has called. */
  calls: Promise<Json>[];
  /** Below it stand the steps of the runbooks that it calls. */
  prefix: string;
  /** Aborted when the step must end. */
  signal: AbortSignal;
  /** Aborted when it is not waited for any longer. */
  late: AbortSignal;
}

/** Gives a rendered input its context, and the signals by which it ends. */
export function ready(job: Act, type: StepType, read: Read, input: Json): Ready {
  const { state, scope, step, path } = job;
  const effect = effectOf(type, step.input, input);
  const cuttable = effect === "read" || isInterruptible(type, input);
  const stop = scope.unwinding || !cuttable ? state.stop.hard : state.stop.soft;
  const signal = anyOf(stop, scope.deadline, job.deadline)!;
  // A change that was told to stop takes the time it needs to leave nothing half done.
  const late = effect === "read" ? signal : anyOf(state.stop.hard, scope.deadline, job.deadline)!;
  const prefix = job.attempt === 1 ? `${path}/` : `${path}@${job.attempt}/`;
  const calls: Promise<Json>[] = [];
  const at = {
    id: step.id,
    path,
    attempt: job.attempt,
    job: jobName(state.id, path, job.attempts),
    attached: undefined as Attached | undefined,
    signal,
    input,
    watch: read,
    hidden: () => isHidden(job, read),
  };
  const { ctx, told } = makeContext(state, scope, at, type, {
    call(runbook, params) {
      const called = job.call(runbook, params, prefix, read);
      calls.push(called);
      return called;
    },
  });
  return { job, type, read, input, path, effect, ctx, at, told, calls, prefix, signal, late };
}

/** @throws the reason why nothing more may begin, or PgdbaError step_refused for a change that `until` would do again and again */
export function mayBegin(one: Ready): void {
  assertMayBegin(one.job.state, one.job.scope);
  one.signal.throwIfAborted();
  assertRepeatable(one);
}

/** The check of the runbook says this first, where the input as written tells. @throws PgdbaError step_refused */
export function assertRepeatable({ job, type, input, effect, path }: Ready): void {
  if (!job.scope.repeated || repeatable({ type, input, effect })) return;
  throw new PgdbaError(
    "step_refused",
    `${path} (${type.type}) changes something, and \`until\` would do it again and again`,
    { hint: "Nothing was done. Let it act once, and wait with `until` in a step that reads." },
  );
}

function isInterruptible({ interruptible }: StepType, input: Json): boolean {
  return typeof interruptible === "function" ? interruptible(input) : interruptible === true;
}
