import { errorRecord } from "../envelope.ts";
import { type PgdbaError, toPgdbaError } from "../errors.ts";
import type { Saw } from "../journal/journal.ts";
import type { ErrorRecord } from "../types.ts";
import type { RunState, Scope } from "./state.ts";
import { recordedError } from "./step-error.ts";

/** The failure that an earlier process met at `path`: a resumed run goes by it, also when all would go well now. */
export function failureBefore(state: RunState, path: string, what: Saw): PgdbaError | undefined {
  const record = state.saw.get(path)?.[what];
  return record ? recordedError(record as unknown as ErrorRecord) : undefined;
}

/**
 * Puts a failure on record before anybody acts on it. Not the one that ends the run, which is on record by itself; nor that of what
 * takes the run back, for that is tried again.
 */
export function recordFailure(
  state: RunState,
  scope: Scope,
  at: { path: string; what: Saw },
  thrown: unknown,
): void {
  const error = toPgdbaError(thrown, "step_failed");
  if (state.plan || state.over || scope.ended || scope.unwinding || error.final) return;
  state.journal.saw(state.id, at.path, at.what, errorRecord(error) as never);
}

/** Does `work` in a scope that ends as an earlier process has ended it: what had begun is come by again, and nothing new begins. */
export async function asBefore<T>(
  state: RunState,
  scope: Scope,
  path: string,
  work: (scope: Scope) => Promise<T>,
): Promise<T> {
  const before = failureBefore(state, path, "failure");
  if (!before) {
    try {
      return await work(scope);
    } catch (thrown) {
      recordFailure(state, scope, { path, what: "failure" }, thrown);
      throw thrown;
    }
  }
  try {
    await work({ ...scope, ended: before });
  } catch (thrown) {
    // That a person must look is more important.
    if (toPgdbaError(thrown).final) throw thrown;
  }
  throw before;
}

/** The same for what is worked out of what was seen: it fails again if it failed before. */
export function outputAsBefore<T>(
  state: RunState,
  scope: Scope,
  at: { path: string; what: Saw },
  work: () => T,
): T {
  const before = failureBefore(state, at.path, at.what);
  if (before) throw before;
  try {
    return work();
  } catch (thrown) {
    recordFailure(state, scope, at, thrown);
    throw thrown;
  }
}
