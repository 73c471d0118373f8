import { effectOf } from "../declared.ts";
import { PgdbaError, refusesToAct, toPgdbaError } from "../errors.ts";
import { renderInput } from "../expr/render.ts";
import { UnknownValue } from "../expr/unknown.ts";
import type { StepRow } from "../journal/journal.ts";
import type { Effect, Json, StepContext, StepResult, StepType } from "../types.ts";
import { checkInput, checkOutput } from "./check-input.ts";
import { settleOrAbort } from "./context.ts";
import { knownSoFar, recordIntent } from "./entry.ts";
import { assertJudged } from "./judged.ts";
import { assertAssembled } from "./kept.ts";
import { knownIn } from "./known.ts";
import { assertHasNeeds, noteMoved } from "./needs.ts";
import { attachedTo, lastJob } from "./jobs.ts";
import { repeatable, restore } from "./restore.ts";
import {
  type Act,
  assertRepeatable,
  isHidden,
  mayBegin,
  type Read,
  type Ready,
  ready,
} from "./ready.ts";
import { recordFailure } from "./saw.ts";
import type { Watch } from "./sensitive.ts";
import { hasInner, mayLack, type UndoEntry, variables } from "./state.ts";
import { withheld } from "./step-error.ts";

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
  const one = ready(job, type, read, input);
  const { effect } = one;
  if (state.plan) await assertHasNeeds(state, one);
  if (state.plan && effect === "change") return preview(one);
  if (!row && !hasInner(state, path)) mayBegin(one);
  const entry = await knownSoFar(job, { type, input, effect, sensitive: isHidden(job, read) });
  const before = await fromBefore(one, entry, row);
  if (before) return before;
  // An undo is tried even when the target lacks what it needs.
  if (!state.plan && !scope.unwinding) await assertHasNeeds(state, one);
  return carryOut(one, entry);
}

/** What a change would do, in a plan. */
async function preview(one: Ready): Promise<Acted> {
  const { job, type, read, input, effect, ctx } = one;
  assertRepeatable(one);
  const output = type.plan ? await type.plan(ctx, input) : null;
  const status = type.plan ? "previewed" : "not_previewable";
  noteMoved(job.state, { ...one, done: false });
  return { output, status, changed: false, effect, sensitive: isHidden(job, read) };
}

/**
 * What an earlier process, or an earlier attempt, has done of it: its result, or a job that still runs, to which the step is attached.
 * @returns undefined when the step is to be carried out
 */
async function fromBefore(
  one: Ready,
  entry: UndoEntry,
  row: StepRow | undefined,
): Promise<Acted | undefined> {
  const { job, type, read, input, path, effect, ctx, at } = one;
  const { state } = job;
  const probe = () => type.probe?.(ctx, input);
  const called = hasInner(state, path);
  // A step that called runbooks is replayed through them where that is harmless, so that their own steps are restored one by one.
  if (row && !(called && repeatable(entry))) {
    const restored = await restore(state, row, entry, probe);
    if (restored && "state" in restored) at.attached = attachedTo(state, entry, restored);
    else if (restored) {
      if (called) {
        entry.stuck ??= "called runbooks, and may not be done again to find them";
        state.covered.add(path);
      }
      entry.result = restored;
      if (restored.status === "ok") noteMoved(state, { ...one, done: true });
      const { output, changed } = restored;
      return { output, status: "ok", changed, effect, sensitive: isHidden(job, read), restored };
    }
    if (effect === "change" && !at.attached && (await job.askAgain()) && entry.happened === "no")
      return attemptAnew(job, type, read, entry);
    mayBegin(one);
    return undefined;
  }
  const last = await lastJob(entry, probe);
  if (last?.state === "running") at.attached = attachedTo(state, entry, last);
  if (last?.state !== "done") return undefined;
  entry.happened = "yes";
  noteMoved(state, { ...one, done: true });
  const { output } = last;
  return { output, status: "ok", changed: true, effect, sensitive: isHidden(job, read) };
}

/** Records the intent of a change, then acts. */
async function carryOut(one: Ready, entry: UndoEntry): Promise<Acted> {
  const { job, type, read, input, path, effect, ctx, at, told, calls, prefix, signal, late } = one;
  const { state, scope, step } = job;
  const before = entry.happened;
  if (effect === "change") {
    entry.happened = "maybe";
    if (!at.attached) entry.job = at.job;
    // A question that was put is none that was answered.
    if (type.asks !== true) await recordIntent(job, entry);
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
  const changed = effect === "change" && !told.unchanged;
  if (effect === "change") entry.happened = changed ? "yes" : before;
  noteMoved(state, { ...one, done: true });
  const known = knownIn(state, output);
  scope.kept.put(path, known);
  const sensitive = isHidden(job, read);
  entry.sensitive ||= sensitive;
  if (step.sensitive) state.secrets.addData(known, type.output);
  // A called runbook's output may hold stand-ins for what is not known.
  if (!mayLack(state) || (calls.length === 0 && !state.plan))
    checkOutput(type, output ?? null, path);
  return { output: output ?? null, status: "ok", changed, effect, sensitive };
}

/** A step of an earlier process whose input is not known any more: its end counts, if it came to one. */
async function withoutInput(
  job: Act,
  type: StepType,
  row: StepRow,
  { thrown, sensitive }: { thrown: unknown; sensitive: boolean },
): Promise<Acted> {
  const effect = effectOf(type, job.step.input, job.step.input);
  const entry = await knownSoFar(job, { type, input: null, effect, sensitive });
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

/** A step that was not done in the end begins anew, with the values known now. */
function attemptAnew(job: Act, type: StepType, read: Read, entry: UndoEntry): Promise<Acted> {
  const { state, path, trail } = job;
  state.undo.splice(state.undo.indexOf(entry), 1);
  state.memo.delete(path);
  delete trail.entry;
  return attempt(job, type, read);
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
