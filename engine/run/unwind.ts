import { errorRecord } from "../envelope.ts";
import { type ErrorCode, type PgdbaError, toPgdbaError } from "../errors.ts";
import { isUnknown } from "../expr/unknown.ts";
import type { ErrorRecord, Json } from "../types.ts";
import { runAlways } from "./block.ts";
import { makeContext, settleOrAbort, timeoutError } from "./context.ts";
import { runNodes } from "./node.ts";
import { allowUnwinding } from "./pace.ts";
import type { RunState, Scope, UndoEntry } from "./state.ts";
import { withheld } from "./step-error.ts";

/** An inverse that takes longer than this is reported as failed, ms. */
const UNDO_TIMEOUT_MS = 300_000;

export interface Unwound {
  undone: number;
  failed: { path: string; error: ErrorRecord }[];
  /** The step that only a person can tell about, when there is one: then nothing after it was taken back. */
  asks: PgdbaError | null;
}

/**
 * Takes back every step that acted, last first, past its own errors; then the `always` blocks that waited for it. Both run with
 * signals held off until the second one. An `always` that fails counts like a failed undo: something was left behind.
 */
export async function unwind(state: RunState): Promise<Unwound> {
  allowUnwinding(state);
  const out: Unwound = { undone: 0, failed: [], asks: null };
  for (let entry = state.undo.pop(); entry; entry = state.undo.pop()) {
    const one = entry;
    if (!hasInverse(one)) {
      await forget(state, one);
      continue;
    }
    const path = `${one.path}~undo`;
    state.emit({ kind: "undo.started", path: one.path });
    const error = await settle(state, { path, id: one.node.id, type: one.node.type }, async () => {
      // What a second signal leaves as it is was not taken back, and is told so.
      state.stop.hard.throwIfAborted();
      const changed = await undoOne(state, one, path);
      if (changed) out.undone += 1;
      return changed;
    });
    state.emit({ kind: "undo.finished", path: one.path, error: error && errorRecord(error) });
    if (error && stopsAt(out, one.path, error)) return out;
  }
  for (let block = state.deferred.shift(); block; block = state.deferred.shift()) {
    const { node, scope } = block;
    const path = scope.prefix + node.id;
    const about = { path: `${path}~always`, id: node.id, type: "block" };
    const error = await settle(state, about, async () => {
      await runAlways(state, node, scope, runNodes);
      return true;
    });
    if (error && stopsAt(out, path, error)) return out;
  }
  return out;
}

/** The run has ended well: what its steps kept to be taken back is not needed any more. */
export async function forgetAll(state: RunState): Promise<void> {
  for (const entry of state.undo.splice(0)) await forget(state, entry);
}

async function forget(state: RunState, entry: UndoEntry): Promise<void> {
  if (!entry.type.forget) return;
  try {
    const { ctx } = undoContext(state, entry.scope, entry, state.stop.hard);
    await entry.type.forget(ctx, entry.input);
  } catch (thrown) {
    state.warnings.push(`After ${entry.path}: ${toPgdbaError(thrown).message}`);
  }
}

function undoContext(state: RunState, scope: Scope, entry: UndoEntry, signal: AbortSignal) {
  const { node, path, sensitive } = entry;
  return makeContext(
    state,
    scope,
    // The step's own path: what it named after itself when it acted is found again by its inverse.
    { id: node.id, path, attempt: 1, signal, watch: { read: sensitive }, hidden: () => sensitive },
    entry.type,
    { call: () => Promise.reject(new Error("an undo can't call a runbook")) },
  );
}

/** What these leave is told by the journal as it is: open, or never begun. */
const CUT_SHORT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "needs_operator",
  "interrupted",
  "lock_lost",
  "journal_failed",
]);

/** @returns true when nothing more may be done before a person has answered */
function stopsAt(out: Unwound, path: string, error: PgdbaError): boolean {
  out.failed.push({ path, error: errorRecord(error) });
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
    try {
      record(error);
    } catch (broken) {
      return toPgdbaError(broken);
    }
    return error;
  }
}

function hasInverse({ happened, node, type, stuck }: UndoEntry): boolean {
  if (stuck) return true;
  if (happened === "no" || node.undo === false) return false;
  return node.undo !== undefined || type.undo !== undefined;
}

/** Whether there was anything to take back. */
async function undoOne(state: RunState, entry: UndoEntry, path: string): Promise<boolean> {
  const scope: Scope = {
    ...entry.scope,
    phase: "undo",
    unwinding: true,
    deadline: undefined,
    prefix: `${path}/`,
    steps: { ...entry.scope.steps },
    rendered: entry.rendered,
  };
  if (entry.stuck) throw entry.stuck;
  if (entry.node.undo) {
    await runNodes(state, entry.node.undo, scope);
    await forget(state, entry);
    return true;
  }
  const prior = state.memo.get(path);
  if (prior?.status === "ok") return prior.result?.changed !== false;
  const at = { path, id: entry.node.id, type: entry.node.type, phase: "undo" as const };
  const started = state.clock.monotonic();
  const startedAt = state.clock.now().toISOString();
  const done = (changed: boolean): boolean => {
    state.journal.outcome(
      state.id,
      { ...at, effect: "change", sensitive: false, happened: changed ? "yes" : "no" },
      {
        status: "ok",
        changed,
        attempts: 1,
        started_at: startedAt,
        duration_ms: state.clock.monotonic() - started,
        output: null,
        error: null,
      },
    );
    return changed;
  };
  if (prior?.assumed === "done") return done(true);
  const record = () =>
    state.journal.intent(state.id, { ...at, input: null, undo: null, started_at: startedAt });
  if (state.lock) await state.lock.fenced(record);
  else record();
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(timeoutError(path, "5m")), UNDO_TIMEOUT_MS);
  try {
    const signal = AbortSignal.any([state.stop.hard, limit.signal]);
    const { ctx, told } = undoContext(state, scope, entry, signal);
    const undoing = entry.type.undo!(ctx, entry.input, knownOutput(entry));
    await settleOrAbort(undoing, [signal], state.stop.hard);
    return done(!told.unchanged);
  } catch (thrown) {
    throw entry.sensitive ? withheld(thrown, `The undo of ${entry.type.type}`) : thrown;
  } finally {
    clearTimeout(timer);
  }
}

/** The output for the inverse: undefined when the step may not have finished, and when it was not kept. */
function knownOutput({ result }: UndoEntry): Json | undefined {
  if (result?.status !== "ok" || isUnknown(result.output)) return undefined;
  return result.output;
}
