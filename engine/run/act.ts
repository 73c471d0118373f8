import { effectOf } from "../declared.ts";
import { PgdbaError, refusesToAct, toPgdbaError } from "../errors.ts";
import { renderInput } from "../expr/render.ts";
import { UnknownValue } from "../expr/unknown.ts";
import { keyedDigest } from "../journal/digest.ts";
import type { StepRow } from "../journal/journal.ts";
import type {
  ActionStep,
  Attached,
  Effect,
  Json,
  JsonObject,
  StepContext,
  Step,
  StepResult,
  StepType,
} from "../types.ts";
import { checkInput, checkOutput } from "./check-input.ts";
import { makeContext, settleOrAbort } from "./context.ts";
import { assertJudged } from "./judged.ts";
import { assertAssembled } from "./kept.ts";
import { knownIn } from "./known.ts";
import { assertHasNeeds, noteMoved } from "./needs.ts";
import { attachedTo, jobName, lastJob } from "./jobs.ts";
import { NOTE_LOST, noteIsLost } from "./notes.ts";
import { happenedBefore, repeatable, restore } from "./restore.ts";
import { renderUndo } from "./render-undo.ts";
import { compare } from "./same-input.ts";
import { recordFailure } from "./saw.ts";
import type { Watch } from "./sensitive.ts";
import {
  anyOf,
  assertMayBegin,
  hasInner,
  mayLack,
  type RunState,
  type Scope,
  type UndoEntry,
  variables,
} from "./state.ts";
import { withheld } from "./step-error.ts";

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

/** The result of one attempt. `restored` results come from the journal of an earlier process. */
export interface Acted {
  output: Json;
  status: "ok" | "recovered" | "previewed" | "not_previewable" | "undetermined";
  changed: boolean;
  effect: Effect;
  /** True when its output and its words may stand in no artifact. */
  sensitive: boolean;
  restored?: StepResult;
}

/**
 * One attempt of one action: render and check its input, ask the journal whether it already happened, record the intent
 * of a change, then act. @throws whatever made it fail; UnknownValue in plan mode when its input isn't known.
 */
export async function act(job: Act): Promise<Acted> {
  const type = await job.state.registry.get(job.step.type);
  const read: Read = { read: false, keys: new Set(), pure: type.pure === true };
  try {
    return await attempt(job, type, read);
  } catch (thrown) {
    throw isHidden(job, read) ? withheld(thrown, type.type) : thrown;
  }
}

/** The sensitive data that an attempt read, and the keys of its input that hold some of it. */
type Read = Watch & { keys: Set<string | number>; pure: boolean };

/** A step that reads sensitive data is sensitive itself, unless its author says that it gives nothing of it away. */
function isHidden({ step, scope }: Act, { read, secret, pure }: Read): boolean {
  return step.sensitive ?? (scope.hidden.all || read || (pure && secret === true));
}

async function attempt(job: Act, type: StepType, read: Read): Promise<Acted> {
  const { state, scope, step, path } = job;
  const row = state.memo.get(path);
  let input: Json;
  try {
    input = renderedInput(job, type, read);
    assertAssembled(knownIn(state, input), `The input of ${path}`);
    checkInput(type, step, input, path);
    if (!state.plan) assertJudged(state.judged, type, input, path);
  } catch (thrown) {
    if (row === undefined) throw thrown;
    return withoutInput(job, type, row, { thrown, sensitive: isHidden(job, read) });
  }
  const effect = effectOf(type, step.input, input);
  const assertRepeatable = () => {
    if (scope.repeated && !repeatable({ type, input, effect })) throw notRepeatable(type, path);
  };

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

  const about = { type, input, path };
  if (state.plan) await assertHasNeeds(state, about);
  if (state.plan && effect === "change") {
    assertRepeatable();
    const output = type.plan ? await type.plan(ctx, input) : null;
    const status = type.plan ? "previewed" : "not_previewable";
    noteMoved(state, { ...about, done: false });
    return { output, status, changed: false, effect, sensitive: isHidden(job, read) };
  }

  const called = hasInner(state, path);
  const mayBegin = () => {
    assertMayBegin(state, scope);
    signal.throwIfAborted();
    assertRepeatable();
  };
  if (!row && !called) mayBegin();
  const entry = await knownSoFar(job, type, input, effect, isHidden(job, read));
  // A step that called runbooks is replayed through them where that is harmless, so that their own steps are restored one by one.
  if (row && !(called && repeatable(entry))) {
    const restored = await restore(state, row, entry, () => type.probe?.(ctx, input));
    if (restored && "state" in restored) at.attached = attachedTo(state, entry, restored);
    else if (restored) {
      if (called) {
        entry.stuck ??= "called runbooks, and may not be done again to find them";
        state.covered.add(path);
      }
      entry.result = restored;
      if (restored.status === "ok") noteMoved(state, { ...about, done: true });
      const { output, changed } = restored;
      const sensitive = isHidden(job, read);
      return { output, status: "ok", changed, effect, sensitive, restored };
    }
    if (effect === "change" && !at.attached && (await job.askAgain()) && entry.happened === "no")
      return attemptAnew(job, type, read, entry);
    mayBegin();
  } else {
    const last = await lastJob(entry, () => type.probe?.(ctx, input));
    if (last?.state === "running") at.attached = attachedTo(state, entry, last);
    if (last?.state === "done") {
      entry.happened = "yes";
      noteMoved(state, { ...about, done: true });
      const { output } = last;
      return { output, status: "ok", changed: true, effect, sensitive: isHidden(job, read) };
    }
  }

  // An undo is tried even when the target lacks what it needs.
  if (!state.plan && !scope.unwinding) await assertHasNeeds(state, about);
  const before = entry.happened;
  if (effect === "change") {
    entry.happened = "maybe";
    if (!at.attached) entry.job = at.job;
    await recordIntent(job, entry);
  }
  let output: Json;
  try {
    output = await settleOrAbort(
      running(type, ctx, input),
      scope.unwinding ? [late] : [late, state.stop.broken],
      state.stop.hard,
    );
  } catch (thrown) {
    if (told.unchanged || didNothing(type, toPgdbaError(thrown))) entry.happened = before;
    // All that was called may have ended well by now: a resumed run would take the attempt for one that did.
    if (calls.length > 0 && signal.aborted)
      recordFailure(state, scope, { path: prefix.slice(0, -1), what: "failure" }, thrown);
    if (scope.unwinding && entry.happened !== "no" && !type.probe && !repeatable(entry))
      state.once.add(path);
    throw thrown;
  } finally {
    // The runbooks that it called end by the same signals, each step in its own time; none of them goes on beside the next step.
    await Promise.allSettled(calls);
  }
  if (effect === "change") entry.happened = told.unchanged ? before : "yes";
  noteMoved(state, { ...about, done: true });
  const known = knownIn(state, output);
  scope.kept.put(path, known);
  const sensitive = isHidden(job, read);
  entry.sensitive ||= sensitive;
  if (step.sensitive) state.secrets.addData(known, type.output);
  // A called runbook's output may hold stand-ins for what is not known.
  if (!mayLack(state) || (calls.length === 0 && !state.plan))
    checkOutput(type, output ?? null, path);
  return {
    output: output ?? null,
    status: "ok",
    changed: effect === "change" && !told.unchanged,
    effect,
    sensitive,
  };
}

/** A step of an earlier process whose input is not known any more: its end counts, if it came to one. */
async function withoutInput(
  job: Act,
  type: StepType,
  row: StepRow,
  { thrown, sensitive }: { thrown: unknown; sensitive: boolean },
): Promise<Acted> {
  const effect = effectOf(type, job.step.input, job.step.input);
  const entry = await knownSoFar(job, type, null, effect, sensitive);
  if (type.undo && job.step.undo === undefined && entry.happened !== "no") {
    const known = thrown instanceof UnknownValue;
    entry.stuck ??= known
      ? `needs ${thrown.path}, which ${thrown.why}`
      : `can't be given its input again: ${toPgdbaError(thrown).message}`;
  }
  if (row.result === null || row.status === "open" || row.status === "unknown") throw thrown;
  const restored = await restore(job.state, row, entry, () => undefined);
  if (restored === undefined || "state" in restored) throw thrown;
  entry.result = restored;
  const { output, changed } = restored;
  return { output, status: "ok", changed, effect, sensitive, restored };
}

/** The check of the runbook says this first, where the input as written tells. */
function notRepeatable({ type }: StepType, path: string): PgdbaError {
  return new PgdbaError(
    "step_refused",
    `${path} (${type}) changes something, and \`until\` would do it again and again`,
    { hint: "Nothing was done. Let it act once, and wait with `until` in a step that reads." },
  );
}

/** A step that was not done in the end begins anew, with the values known now. */
function attemptAnew(job: Act, type: StepType, read: Read, entry: UndoEntry): Promise<Acted> {
  const { state, path, trail } = job;
  state.undo.splice(state.undo.indexOf(entry), 1);
  state.memo.delete(path);
  delete trail.entry;
  return attempt(job, type, read);
}

function isInterruptible({ interruptible }: StepType, input: Json): boolean {
  return typeof interruptible === "function" ? interruptible(input) : interruptible === true;
}

/** A user's type may throw, or give its output, at once. */
async function running(type: StepType, ctx: StepContext, input: Json): Promise<Json> {
  return type.run(ctx, input);
}

/** True when it is known that a failed step did nothing. */
function didNothing({ oneAct }: StepType, { code, nothingDone }: PgdbaError): boolean {
  // The error of one act does not tell whether the step did anything else.
  if (nothingDone !== undefined) return nothingDone && oneAct === true;
  return refusesToAct(code);
}

/** Puts the step on the stack when it may have to be taken back. A step that is tried again is taken back once. */
async function knownSoFar(
  { state, scope, step, path, trail }: Act,
  type: StepType,
  input: Json,
  effect: Effect,
  sensitive: boolean,
): Promise<UndoEntry> {
  if (trail.entry) return trail.entry;
  state.visited.add(path);
  const row = state.memo.get(path);
  const entry: UndoEntry = {
    path,
    step,
    type,
    input,
    effect,
    result: null,
    happened: row ? happenedBefore(row) : "no",
    // Its undo sees the steps as they stood before it acted, even if a later attempt changes them.
    scope: effect === "change" ? { ...scope, steps: { ...scope.steps } } : scope,
    rendered: new Map(),
    sensitive,
    digests: { input: null, undo: null },
    otherInput: false,
    job: jobName(state.id, path, row?.attempts ?? 1),
  };
  if (effect === "change" && input !== null && !state.plan)
    entry.digests.input = keyedDigest(state.stateDir, knownIn(state, input));
  if (effect === "change" && scope.phase === "main") {
    try {
      const undo = await renderUndo(state, entry);
      if (undo && !state.plan)
        entry.digests.undo = keyedDigest(state.stateDir, knownIn(state, undo));
    } catch (thrown) {
      // Nothing was done yet, or else it is told when it can't be taken back.
      if (entry.happened === "no") throw thrown;
      entry.stuck = `has an undo that can't be rendered again: ${toPgdbaError(thrown).message}`;
    }
    state.undo.push(entry);
    scope.kept.pin();
  }
  if (row && entry.happened !== "no") {
    compare(state, row, entry);
    if (type.undo && step.undo === undefined && noteIsLost(state, path)) entry.stuck ??= NOTE_LOST;
  }
  trail.entry = entry;
  return entry;
}

function renderedInput({ state, scope, step }: Act, type: StepType, read: Read): Json {
  const before = scope.rendered?.get(step);
  if (before) read.read = before.sensitive;
  if (before) return before.input;
  const leaf: Watch = { read: false };
  return renderInput(step.input, type.input, variables(state, scope, leaf), (path) => {
    if (leaf.read) for (const key of path) read.keys.add(key);
    read.read ||= leaf.read;
    leaf.read = false;
  });
}

async function recordIntent(
  job: Act,
  { input, rendered, sensitive, digests }: UndoEntry,
): Promise<void> {
  const { state, scope, step, path } = job;
  const inverse = (step: Step): Json => {
    if (step.kind !== "action") return null;
    const known = rendered.get(step);
    return { [step.type]: known?.sensitive ? null : (known?.input ?? step.input) };
  };
  const record = () =>
    state.journal.intent(state.id, {
      path,
      id: step.id,
      type: step.type,
      phase: scope.phase,
      input: sensitive ? null : input,
      undo: step.undo ? step.undo.map(inverse) : null,
      started_at: state.clock.now().toISOString(),
      attempts: job.attempts,
      input_digest: digests.input,
      undo_digest: digests.undo,
    });
  if (state.lock) await state.lock.fenced(record);
  else record();
}
