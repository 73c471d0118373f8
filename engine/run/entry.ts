import { toPgdbaError } from "../errors.ts";
import { keyedDigest } from "../journal/digest.ts";
import type { Json, Step } from "../types.ts";
import { jobName } from "./jobs.ts";
import { knownIn } from "./known.ts";
import { NOTE_LOST, noteIsLost } from "./notes.ts";
import type { Act } from "./ready.ts";
import { renderUndo } from "./render-undo.ts";
import { happenedBefore } from "./restore.ts";
import { compare } from "./same-input.ts";
import type { UndoEntry } from "./state.ts";

/** Puts the step on the stack when it may have to be taken back. A step that is tried again is taken back once. */
export async function knownSoFar(
  { state, scope, step, path, trail }: Act,
  { type, input, effect, sensitive }: Pick<UndoEntry, "type" | "input" | "effect" | "sensitive">,
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

/** Puts on disk that the step is about to act, while the run still holds its locks. */
export async function recordIntent(
  { state, scope, step, path, attempts }: Act,
  { input, rendered, sensitive, digests }: UndoEntry,
): Promise<void> {
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
      attempts,
      input_digest: digests.input,
      undo_digest: digests.undo,
    });
  if (state.lock) await state.lock.fenced(record);
  else record();
}
