import { errorRecord } from "../envelope.ts";
import { saysNothingDone, toPgdbaError } from "../errors.ts";
import type { ErrorRecord } from "../types.ts";
import { runAlways } from "./block.ts";
import { makeContext, settleOrAbort, timeoutError } from "./context.ts";
import { runNodes } from "./node.ts";
import type { RunState, Scope, UndoEntry } from "./state.ts";

/** An inverse that takes longer than this is reported as failed, ms. */
const UNDO_TIMEOUT_MS = 300_000;

export interface Unwound {
  undone: number;
  failed: { path: string; error: ErrorRecord }[];
}

/**
 * Takes back every step that started, last first, past its own errors; then the `always` blocks that waited for it. Both run with
 * signals held off until the second one. An `always` that fails counts like a failed undo: something was left behind.
 */
export async function unwind(state: RunState): Promise<Unwound> {
  const out: Unwound = { undone: 0, failed: [] };
  for (let entry = state.undo.pop(); entry; entry = state.undo.pop()) {
    if (!hasInverse(entry)) continue;
    state.emit({ kind: "undo.started", path: entry.path });
    try {
      // What a second signal leaves as it is was not taken back, and is told so.
      state.stop.hard.throwIfAborted();
      if (await undoOne(state, entry)) out.undone += 1;
      state.emit({ kind: "undo.finished", path: entry.path, error: null });
    } catch (thrown) {
      const error = errorRecord(toPgdbaError(thrown, "undo_failed"));
      out.failed.push({ path: entry.path, error });
      state.emit({ kind: "undo.finished", path: entry.path, error });
    }
  }
  for (let block = state.deferred.shift(); block; block = state.deferred.shift()) {
    try {
      await runAlways(state, block.node, block.scope, runNodes);
    } catch (thrown) {
      out.failed.push({
        path: `${block.scope.prefix}${block.node.id}`,
        error: errorRecord(toPgdbaError(thrown)),
      });
    }
  }
  return out;
}

function hasInverse(entry: UndoEntry): boolean {
  const { result } = entry;
  // An earlier attempt may have acted where the last one refused.
  if (result?.error && entry.tries === 1 && saysNothingDone(result.error.code)) return false;
  if (entry.result && !entry.result.changed && entry.result.status === "ok" && entry.tries === 1)
    return false;
  if (entry.node.undo === false) return false;
  return entry.node.undo !== undefined || entry.type.undo !== undefined;
}

/** Whether there was anything to take back. */
async function undoOne(state: RunState, entry: UndoEntry): Promise<boolean> {
  const scope: Scope = {
    ...entry.scope,
    phase: "undo",
    unwinding: true,
    deadline: undefined,
    prefix: `${entry.path}~undo/`,
    steps: { ...entry.scope.steps },
    rendered: entry.rendered,
  };
  if (entry.node.undo) {
    await runNodes(state, entry.node.undo, scope);
    return true;
  }
  const path = `${entry.path}~undo`;
  const prior = state.memo.get(path);
  if (prior?.status === "ok") return prior.result?.changed !== false;
  const at = { path, id: entry.node.id, type: entry.node.type, phase: "undo" as const };
  const started = state.clock.monotonic();
  const startedAt = state.clock.now().toISOString();
  const record = () =>
    state.journal.intent(state.id, { ...at, input: null, undo: null, started_at: startedAt });
  if (state.lock) await state.lock.fenced(record);
  else record();
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(timeoutError(path, "5m")), UNDO_TIMEOUT_MS);
  try {
    const signal = AbortSignal.any([state.stop.hard, limit.signal]);
    const { ctx, told } = makeContext(
      state,
      scope,
      // The step's own path: what it named after itself when it acted is found again by its inverse.
      { id: entry.node.id, path: entry.path, attempt: 1, signal },
      entry.type,
      { call: () => Promise.reject(new Error("an undo can't call a runbook")) },
    );
    const output = entry.result?.status === "ok" ? entry.result.output : undefined;
    await settleOrAbort(entry.type.undo!(ctx, entry.input, output), [signal], state.stop.hard);
    state.journal.outcome(
      state.id,
      { ...at, effect: "change", sensitive: false },
      {
        status: "ok",
        changed: !told.unchanged,
        attempts: 1,
        started_at: startedAt,
        duration_ms: state.clock.monotonic() - started,
        output: null,
        error: null,
      },
    );
    return !told.unchanged;
  } finally {
    clearTimeout(timer);
  }
}
