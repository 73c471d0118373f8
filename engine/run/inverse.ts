import { toPgdbaError } from "../errors.ts";
import { makeContext } from "./context.ts";
import type { RunState, Scope, UndoEntry } from "./state.ts";

/** True when there is something to take back, and a way to do so. */
export function hasInverse({ happened, step, type, stuck }: UndoEntry): boolean {
  if (stuck) return true;
  // A job must not be left alone, even where nothing takes back what it did.
  if (happened === "maybe" && type.job === true && type.stop !== undefined) return true;
  if (happened === "no" || step.undo === false) return false;
  return step.undo !== undefined || type.undo !== undefined;
}

/** Removes the things that a step kept for its undo, when it will not be undone any more. */
export async function forget(state: RunState, entry: UndoEntry): Promise<void> {
  if (!entry.type.forget) return;
  try {
    const { ctx } = undoContext(state, entry.scope, entry, state.stop.hard);
    await entry.type.forget(ctx, entry.input);
  } catch (thrown) {
    state.warnings.push(`After ${entry.path}: ${toPgdbaError(thrown).message}`);
  }
}

/** The context of an inverse, or of anything else that comes after the step. */
export function undoContext(state: RunState, scope: Scope, entry: UndoEntry, signal: AbortSignal) {
  const { step, path, sensitive } = entry;
  return makeContext(
    state,
    scope,
    // The step's own path: what it named after itself when it acted is found again by its inverse.
    {
      id: step.id,
      path,
      attempt: 1,
      signal,
      input: entry.input,
      job: entry.job,
      watch: { read: sensitive },
      hidden: () => sensitive,
    },
    entry.type,
    { call: () => Promise.reject(new Error("an undo can't call a runbook")) },
  );
}
