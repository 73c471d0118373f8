import { PgdbaError } from "../errors.ts";
import { isUnknown } from "../expr/unknown.ts";
import type { Json } from "../types.ts";
import { settleOrAbort, timeoutError } from "./context.ts";
import { forget, undoContext } from "./inverse.ts";
import { endJob } from "./jobs.ts";
import { runSteps } from "./step.ts";
import type { RunState, Scope, UndoEntry } from "./state.ts";
import { withheld } from "./step-error.ts";

/** An inverse that takes longer than this is reported as failed, ms. */
const UNDO_TIMEOUT_MS = 300_000;

/**
 * Takes one step back, by the steps of its `undo` or by the inverse of its type. @returns whether there was anything to take back
 */
export async function undoOne(state: RunState, entry: UndoEntry, path: string): Promise<boolean> {
  const prior = state.memo.get(path);
  if (prior?.status === "ok") return prior.result?.changed !== false;
  if (entry.stuck) {
    if (prior?.assumed === "done") return true;
    throw byHand(state.id, entry.path, entry.stuck);
  }
  const scope: Scope = {
    ...entry.scope,
    phase: "undo",
    unwinding: true,
    repeated: false,
    deadline: undefined,
    ended: undefined,
    prefix: `${path}/`,
    steps: { ...entry.scope.steps },
    rendered: entry.rendered,
  };
  if (entry.step.undo) {
    await endJob(state, entry, state.stop.hard);
    await runSteps(state, entry.step.undo, scope);
    await forget(state, entry);
    return true;
  }
  const at = { path, id: entry.step.id, type: entry.step.type, phase: "undo" as const };
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
    const stopped = await endJob(state, entry, signal);
    if (!entry.type.undo || entry.step.undo === false) return done(stopped);
    const { ctx, told } = undoContext(state, scope, entry, signal);
    const undoing = entry.type.undo(ctx, entry.input, knownOutput(entry));
    await settleOrAbort(undoing, [signal], state.stop.hard);
    return done(!told.unchanged);
  } catch (thrown) {
    throw entry.sensitive ? withheld(thrown, `The undo of ${entry.type.type}`) : thrown;
  } finally {
    clearTimeout(timer);
  }
}

/** The output for the inverse: undefined when the step may not have finished, and when it was not kept. */
function knownOutput({ result, ended }: UndoEntry): Json | undefined {
  if (ended !== undefined) return ended;
  if (result?.status !== "ok" || isUnknown(result.output)) return undefined;
  return result.output;
}

/** The error for an act that no process can take back: a person does, and says so. */
export function byHand(run: string, path: string, why: string): PgdbaError {
  return new PgdbaError("undo_failed", `${path} can't be taken back by a resumed run: it ${why}`, {
    hint: `Take it back by hand; \`pgdba runs ${run}\` shows what it did.`,
  });
}
