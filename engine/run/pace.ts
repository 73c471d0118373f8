import { PgdbaError } from "../errors.ts";
import type { RunState } from "./state.ts";

/** Steps that one run may begin, over all loops, attempts and called runbooks. */
export const MAX_STEPS = 100_000;
/** Steps that taking it back may begin: whatever a run was allowed to do can be undone. */
const MAX_UNWINDING = 10 * MAX_STEPS;
/** Two tries of `until` that are this far apart, ms, are bounded by its timeout and not counted. */
export const COUNTED_BELOW_MS = 100;

/**
 * Before a step, and before each further attempt of it: counts it, and lets signals and timers in, which steps that never wait
 * would keep out. @throws PgdbaError limit_exceeded, which nothing may take
 */
export async function pace({ begun }: RunState): Promise<void> {
  begun.count += 1;
  if (begun.count > begun.limit) {
    throw new PgdbaError("limit_exceeded", `A run may begin at most ${begun.limit} steps`, {
      final: true,
      hint: "Each item of a loop counts, each attempt, and each step of a called runbook. Do the work in one statement, or split it over several runs.",
    });
  }
  // Signals and timers are seen in these turns of the event loop. The timer comes last: Bun tells of a promise that nobody waits for
  // too late when it was rejected in a turn that an immediate began.
  await new Promise<void>((resolve) => setImmediate(resolve));
  await Bun.sleep(0);
}

/** From now on steps are counted anew, for the unwinding. */
export function allowUnwinding({ begun }: RunState): void {
  begun.count = 0;
  begun.limit = MAX_UNWINDING;
}
