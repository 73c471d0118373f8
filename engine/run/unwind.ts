import { errorRecord } from "../envelope.ts";
import { type ErrorCode, type PgdbaError, toPgdbaError } from "../errors.ts";
import type { ErrorRecord } from "../types.ts";
import { runAlways } from "./block.ts";
import { runSteps } from "./step.ts";
import { allowUnwinding } from "./pace.ts";
import { notVisited } from "./not-visited.ts";
import type { StepRow } from "../journal/journal.ts";
import type { RunState } from "./state.ts";
import { forget, hasInverse } from "./inverse.ts";
import { byHand, undoOne } from "./undo.ts";

/** The next act of a resumed run for a part that failed: it tries again; it asks a person first; it leaves the work to a person. */
type Next = "again" | "ask" | "hand";

export interface Unwound {
  undone: number;
  /** The steps whose undo began and did not say that there was nothing to take back: what they gave holds no more. */
  touched: string[];
  /** `step`: where it ended, when a person may say that it was done by hand. */
  failed: { path: string; step: string | null; next: Next; error: ErrorRecord }[];
  /** The step that only a person can tell about, when there is one: then nothing after it was taken back. */
  asks: PgdbaError | null;
}

/**
 * Takes back every step that acted, last first, past its own errors; then the `always` blocks that waited for it. Both run with
 * signals held off until the second one. An `always` that fails counts like a failed undo: something was left behind.
 */
export async function unwind(state: RunState): Promise<Unwound> {
  allowUnwinding(state);
  const out: Unwound = { undone: 0, touched: [], failed: [], asks: null };
  for (let entry = state.undo.pop(); entry; entry = state.undo.pop()) {
    const one = entry;
    if (!hasInverse(one)) {
      await forget(state, one);
      continue;
    }
    const path = `${one.path}~undo`;
    state.emit({ kind: "undo.started", path: one.path });
    const error = await settle(state, { path, id: one.step.id, type: one.step.type }, async () => {
      // A step that a second signal leaves as it is was not taken back, and is reported so.
      state.stop.hard.throwIfAborted();
      out.touched.push(one.path);
      const changed = await undoOne(state, one, path);
      if (changed) out.undone += 1;
      else out.touched.pop();
      return changed;
    });
    state.emit({ kind: "undo.finished", path: one.path, error: error && errorRecord(error) });
    const next = error && (one.stuck ? "hand" : nextOf(state, error));
    if (error && stopsAt(out, one.path, error, next!)) return out;
  }
  for (let block = state.deferred.shift(); block; block = state.deferred.shift()) {
    const { step, scope } = block;
    const path = scope.prefix + step.id;
    const about = { path: `${path}~always`, id: step.id, type: "block" };
    const error = await settle(state, about, async () => {
      await runAlways(state, step, scope, runSteps);
      return true;
    });
    if (error && stopsAt(out, path, error, nextOf(state, error))) return out;
  }
  for (const { path, id, type } of await leftBehind(state)) {
    const about = { path: `${path}~undo`, id, type };
    const error = await settle(state, about, async () => {
      if (state.memo.get(about.path)?.assumed === "done") return true;
      throw byHand(
        state.id,
        path,
        "was begun by the earlier process, and this one does not come to it",
      );
    });
    if (error) stopsAt(out, path, error, "hand");
  }
  return out;
}

/** The run has ended well: what its steps kept to be taken back is not needed any more. */
export async function forgetAll(state: RunState): Promise<void> {
  for (const entry of state.undo.splice(0)) await forget(state, entry);
}

/** Steps that an earlier process did and this one did not come by again, as when a list is shorter now: they can't be taken back. */
async function leftBehind(state: RunState): Promise<StepRow[]> {
  const { registry } = state;
  const left: StepRow[] = [];
  // The steps of a called runbook are reported, too, because the step's own undo does not take them back.
  for (const row of notVisited({ ...state, covered: new Set() })) {
    const { type, phase, status, undo } = row;
    const open = status === "open" || status === "unknown";
    const inverse =
      phase === "main" &&
      (undo !== null || (registry.has(type) && (await registry.get(type)).undo !== undefined));
    if (open || inverse) left.push(row);
  }
  return left;
}

/** The journal has the steps that these errors leave as they are: open, or never begun. */
const CUT_SHORT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "needs_operator",
  "interrupted",
  "lock_lost",
  "journal_failed",
]);

/** By the rule of `restore`. */
function nextOf({ once }: RunState, { step }: PgdbaError): Next {
  return step !== undefined && once.has(step) ? "ask" : "again";
}

/** @returns true when nothing more may be done before a person has answered */
function stopsAt(out: Unwound, path: string, error: PgdbaError, next: Next): boolean {
  const step = CUT_SHORT.has(error.code) ? null : (error.step ?? null);
  out.failed.push({ path, step, next, error: errorRecord(error) });
  if (error.code === "needs_operator") out.asks = error;
  return out.asks !== null;
}

/**
 * Does one part of the unwinding. Its failure goes on record with the step that it ended at: a resumed run tries that step again,
 * and leaves alone what went well. @returns the failure
 */
async function settle(
  state: RunState,
  at: { path: string; id: string; type: string },
  work: () => Promise<boolean>,
): Promise<PgdbaError | null> {
  const before = state.memo.get(at.path)?.result?.error;
  if (before) state.again.add(before.step ?? at.path);
  const started = state.clock.monotonic();
  const started_at = state.clock.now().toISOString();
  const record = (error: PgdbaError | null, changed = true) =>
    state.journal.outcome(
      state.id,
      {
        ...at,
        phase: "undo",
        effect: "change",
        sensitive: false,
        happened: error ? "maybe" : changed ? "yes" : "no",
      },
      {
        status: error ? "failed" : "ok",
        changed: error === null && changed,
        attempts: 1,
        started_at,
        duration_ms: state.clock.monotonic() - started,
        output: null,
        error: error && errorRecord(error),
      },
    );
  try {
    const changed = await work();
    if (before) record(null, changed);
    return null;
  } catch (thrown) {
    const error = toPgdbaError(thrown, "undo_failed");
    if (CUT_SHORT.has(error.code)) return error;
    error.step ??= at.path;
    try {
      record(error);
    } catch (broken) {
      return toPgdbaError(broken);
    }
    return error;
  }
}
