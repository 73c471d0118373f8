import { PgdbaError } from "../../../engine/errors.ts";
import type { PgSession, Run } from "../session.ts";
import { guardPlanning } from "./guard.ts";
import { type Hold, holdFor } from "./hold.ts";
import { ONLY_PLANNED } from "./judge.ts";
import type { Statement } from "./statement.ts";

/** Rounds in which more is reached than was held. */
export const MOST_TRIES = 8;

/**
 * Has a statement planned by `work`, when planning it runs nothing that acts: what that rests on stands still meanwhile.
 * @param another opens a further session to the same database
 * @throws PgdbaError step_refused
 */
export async function planGuarded<T>(
  run: Run,
  {
    statement,
    timeoutMs,
    another,
  }: { statement: Statement; timeoutMs: number; another(): Promise<PgSession> },
  work: () => Promise<T>,
): Promise<T> {
  const hold = await holdFor(run, another, ONLY_PLANNED);
  try {
    for (let tries = 0; tries < MOST_TRIES; tries++)
      if (await hold.covers(await guardPlanning(run, statement)))
        return await inTime(run, hold, timeoutMs, work);
    throw changing();
  } finally {
    await hold.release();
  }
}

/** Runs `work` for no longer than what it rests on may be held. */
export async function inTime<T>(
  run: Run,
  hold: Hold,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const allowed = await hold.confirm(timeoutMs);
  if (allowed === timeoutMs) return work();
  await run("SELECT /* pgdba */ pg_catalog.set_config('statement_timeout', $1, true)", [
    String(allowed),
  ]);
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PgdbaError) || error.code !== "timeout") throw error;
    throw new PgdbaError("timeout", `The statement was stopped after ${allowed / 1000} s`, {
      hint: "It calls or reads what others may replace; a superuser has it run for that long only, since nobody can create or change tables meanwhile. Connect as a role that has no more rights than reading these tables takes (--user).",
      cause: error,
      data: error.data,
    });
  }
}

export function changing(): PgdbaError {
  return new PgdbaError("step_refused", "What the statement calls or reads changes all the time", {
    hint: "Try again when whoever changes it has ended.",
    retryable: true,
  });
}
