import { PgdbaError } from "../errors.ts";
import type { Attached, ProbeResult } from "../types.ts";
import { undoContext } from "./inverse.ts";
import { notedBy } from "./notes.ts";
import { asked } from "./restore.ts";
import type { RunState, UndoEntry } from "./state.ts";

/** How long an undo waits for a job to end, and how often it asks, ms. */
const END_MS = 120_000;
const EVERY_MS = 500;

/** The name of the job that an attempt at a step starts: the same in every process. */
export function jobName(run: string, path: string, attempts: number): string {
  return attempts > 1 ? `${run}/${path}@${attempts}` : `${run}/${path}`;
}

/** The job of an earlier process to which a step attaches itself. */
export function attachedTo(
  state: RunState,
  { path, job }: UndoEntry,
  { note }: Extract<ProbeResult, { state: "running" }>,
): Attached {
  return { job, note: note ?? notedBy(state, path) ?? null };
}

/**
 * Before a further attempt in this process: the job of the last one may still run, or have ended meanwhile, for instance when only the
 * connection to it broke.
 * @throws PgdbaError step_failed when nothing can tell: a second job must not start beside the first
 */
export async function lastJob(
  entry: UndoEntry,
  probe: () => Promise<ProbeResult> | undefined,
): Promise<ProbeResult | undefined> {
  if (entry.type.job !== true || entry.happened !== "maybe") return undefined;
  const answer = await asked(entry, probe);
  if (answer?.state !== "unknown") return answer;
  throw new PgdbaError(
    "step_failed",
    `${entry.path} can't be tried again: nothing can tell whether the job of the last attempt still runs (${answer.reason})`,
    { hint: "Look at the target for the job, and end it there.", final: true },
  );
}

/**
 * Before a step is taken back whose job may still run: has it stopped where its type can, and waits until it has ended. A job that did
 * its work after all gives its output to the inverse.
 * @returns whether it had to be stopped @throws PgdbaError undo_failed when it still runs, or nobody can tell
 */
export async function endJob(
  state: RunState,
  entry: UndoEntry,
  signal: AbortSignal,
): Promise<boolean> {
  const { type, path, happened, input } = entry;
  if (type.job !== true || happened !== "maybe" || !type.probe) return false;
  const { ctx } = undoContext(state, entry.scope, entry, signal);
  const end = state.clock.monotonic() + END_MS;
  let stopped = false;
  for (;;) {
    const answer = await asked(entry, () => type.probe!(ctx, input));
    if (answer?.state === "done") entry.ended = answer.output;
    if (answer?.state === "unknown") throw stillThere(path, `can tell: ${answer.reason}`);
    if (answer?.state !== "running") return stopped;
    if (state.clock.monotonic() >= end)
      throw stillThere(path, "waits any longer: its job still runs");
    if (stopped || !type.stop) await state.clock.sleep(EVERY_MS, signal);
    else {
      stopped = true;
      await type.stop(ctx, input);
    }
  }
}

function stillThere(path: string, why: string): PgdbaError {
  return new PgdbaError(
    "undo_failed",
    `${path} is not taken back while its job may run: nobody ${why}`,
    {
      hint: "Wait for the job to end, or end it on the target.",
    },
  );
}
