import { PgdbaError, refusesToAct, toPgdbaError } from "../errors.ts";
import { unknownOutput } from "../expr/unknown.ts";
import type { Happened, StepRow } from "../journal/journal.ts";
import type { Json, ProbeResult, StepResult } from "../types.ts";
import { NOTE_LOST, noteIsLost } from "./notes.ts";
import { isGathering, type RunState, type UndoEntry } from "./state.ts";

export type Running = Extract<ProbeResult, { state: "running" }>;

/** Tells whether a step that an earlier process began has acted, as far as its row shows. */
export function happenedBefore(row: StepRow): Happened {
  if (row.status === "open" || row.status === "unknown" || row.result === null)
    return row.status === "retrying" ? (row.happened ?? "maybe") : "maybe";
  if (row.happened !== null) return row.happened;
  // A row of an older version.
  const { status, changed, error } = row.result;
  if (error) return refusesToAct(error.code) ? "no" : "maybe";
  return status === "ok" && !changed ? "no" : "yes";
}

/** Doing it once more is harmless. */
export function repeatable({
  type,
  input,
  effect,
}: Pick<UndoEntry, "type" | "input" | "effect">): boolean {
  if (effect === "read") return true;
  return typeof type.idempotent === "function" ? type.idempotent(input) : type.idempotent;
}

/**
 * The part of this step that an earlier process left: its result, a job that still runs, or undefined when it must run (again).
 * The same rule holds for every step, also for one of an undo: its probe is asked; a harmless step is repeated; else a person is asked.
 * @throws PgdbaError needs_operator when nothing can tell whether it happened; the failure with which its job has ended meanwhile
 */
export async function restore(
  state: RunState,
  row: StepRow,
  entry: UndoEntry,
  probe: () => Promise<ProbeResult> | undefined,
): Promise<StepResult | Running | undefined> {
  const { path, step, type } = entry;
  const failed = row.result?.error;
  const again = failed && state.again.has(path);
  if (row.result && row.status !== "open" && row.status !== "unknown" && !again) {
    if (failed) return row.result;
    const lost = row.assumed === "done" ? SAID_DONE : row.masked ? MASKED : undefined;
    if (lost === undefined) return row.result;
    // While what was done is only gathered, nothing is done again: what comes after it is come by all the same.
    const gathers = isGathering(state, entry.scope);
    if (row.masked && repeatable(entry) && !gathers) return undefined;
    return { ...row.result, output: unknownOutput(`steps.${step.id}.output`, lost) as Json };
  }
  // A question is put again, whatever an older version left of it.
  if (type.asks === true) entry.happened = "no";
  else if (row.assumed === "done") return done(state, entry, null, SAID_DONE);
  if (entry.happened === "no" || entry.effect === "read") return undefined;
  if (row.status === "retrying" && type.job !== true) {
    if (entry.otherInput) throw triedOtherwise(path);
    return undefined;
  }
  if (entry.otherInput && row.assumed !== "not_done") {
    state.asked.add(path);
    throw new PgdbaError(
      "needs_operator",
      `${path} (${type.type}) was begun by the earlier process with another input than this one would give it, so that nothing can tell whether it happened`,
      { step: path, hint: howToAnswer(state.id, [path]) },
    );
  }
  const answer = row.assumed === "not_done" ? NOT_DONE : await answerFor(state, entry, probe);
  if (answer?.state === "running") return answer;
  if (answer?.state === "done") return done(state, entry, answer.output);
  if (answer?.state === "failed") throw toPgdbaError(answer.error, "step_failed");
  if (answer?.state === "not_done") {
    if (answer.partly !== true) entry.happened = "no";
    delete entry.stuck;
  }
  if (answer?.state === "not_done" || repeatable(entry)) return undefined;
  state.asked.add(path);
  const how = failed
    ? `failed in the earlier process (${failed.message})`
    : "was under way when the earlier process died";
  const why = answer?.state === "unknown" ? `: ${answer.reason}` : "";
  throw new PgdbaError(
    "needs_operator",
    `${path} (${type.type}) ${how}, and nothing can tell whether it happened${why}`,
    { step: path, hint: howToAnswer(state.id, [path]) },
  );
}

/** The probe is not asked when it would have to go by a note that is lost. */
async function answerFor(
  state: RunState,
  entry: UndoEntry,
  probe: () => Promise<ProbeResult> | undefined,
): Promise<ProbeResult | undefined> {
  if (noteIsLost(state, entry.path)) return { state: "unknown", reason: `it ${NOTE_LOST}` };
  return asked(entry, probe);
}

/** The answer of a probe. One that fails has none; one that refuses says that the step is neither gone on with nor taken back. */
export async function asked(
  entry: UndoEntry,
  probe: () => Promise<ProbeResult> | undefined,
): Promise<ProbeResult | undefined> {
  try {
    const asking = probe();
    return asking && wellFormed(await asking);
  } catch (thrown) {
    const error = toPgdbaError(thrown, "step_failed");
    if (error.final) throw error;
    if (error.code !== "step_refused") return { state: "unknown", reason: error.message };
    entry.happened = "no";
    throw error;
  }
}

/** A user's type may answer anything. */
function wellFormed(answer: unknown): ProbeResult {
  const { state, output, error, reason } = (answer ?? {}) as Record<string, unknown>;
  const isOne =
    state === "not_done" ||
    state === "running" ||
    (state === "done" && output !== undefined) ||
    (state === "failed" && error instanceof Error) ||
    (state === "unknown" && typeof reason === "string");
  if (isOne) return answer as ProbeResult;
  return {
    state: "unknown",
    reason: `the answer of its probe is malformed; it must be {state: "done", output}, {state: "not_done"}, {state: "running"}, {state: "failed", error} or {state: "unknown", reason}`,
  };
}

/** An attempt may have acted on something else than the next one would: neither it nor any other can be made. */
function triedOtherwise(path: string): PgdbaError {
  return new PgdbaError(
    "step_failed",
    `${path} was tried by the earlier process with another input than this one would give it`,
    {
      step: path,
      final: true,
      hint: "Look at the target for what the first attempt did; then start the runbook anew.",
    },
  );
}

const NOT_DONE: ProbeResult = { state: "not_done" };
const MASKED = "was not kept, for it held a secret";
const SAID_DONE = "is not known: a person said that the step was done";

/** Records its end, so that nobody is asked again. */
function done(state: RunState, entry: UndoEntry, output: Json, unknown?: string): StepResult {
  entry.happened = "yes";
  const { path, step, effect } = entry;
  const result: StepResult = {
    status: "ok",
    changed: true,
    attempts: 1,
    started_at: state.clock.now().toISOString(),
    duration_ms: 0,
    output,
    error: null,
  };
  state.journal.outcome(
    state.id,
    {
      path,
      id: step.id,
      type: step.type,
      phase: entry.scope.phase,
      effect,
      sensitive: step.sensitive === true,
      happened: "yes",
    },
    result,
  );
  if (unknown === undefined) return result;
  return { ...result, output: unknownOutput(`steps.${step.id}.output`, unknown) as Json };
}

/** The hint for a run that waits for a person's word. */
export function howToAnswer(run: string, asked: Iterable<string>): string {
  const paths = [...asked];
  const flags = paths.map((path) => `--assume ${path}=done`).join(" ");
  const or = paths.length === 1 ? "or `=not_done`" : "each with `=done` or `=not_done`";
  return `Look at the target, then \`pgdba resume ${run} ${flags}\` ${or}.`;
}
