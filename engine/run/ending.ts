import { errorRecord, exitCode } from "../envelope.ts";
import { type ExitCode, PgdbaError } from "../errors.ts";
import type { ErrorRecord, Json, RunStatus } from "../types.ts";
import { howToAnswer } from "./restore.ts";
import type { RunState } from "./state.ts";
import type { Unwound } from "./unwind.ts";

/** The reported end of the run, with what to do next. */
export function ending(
  state: RunState,
  error: PgdbaError | null,
  unwound: Unwound,
): { status: RunStatus; exit: ExitCode; error: ErrorRecord | null } {
  const failed = error && errorRecord(error);
  // A run with a point of no return is not undone, even if a later step fails.
  const undone = keptSteps(state).length > 0 ? 0 : unwound.undone;
  const exit = failed ? exitCode(failed, { undone, undoFailed: unwound.failed.length }) : 0;
  if (failed) {
    const said = [keptHint(state), hintFor(state, failed, unwound)];
    failed.hint = said.filter(Boolean).join(" ") || null;
  }
  return { status: statusOf(exit, state.plan, undone), exit, error: failed };
}

function keptSteps({ kept }: RunState): string[] {
  return kept.flatMap(({ steps }) => steps.listed);
}

/** Says that the changes now in force are so on purpose. */
function keptHint(state: RunState): string | undefined {
  const steps = keptSteps(state);
  if (steps.length === 0) return undefined;
  return `Kept: ${several(steps)}, since ${several(state.kept.map(({ path }) => path))} is a point of no return (see error.run.kept).`;
}

/** The question is what to act on now; the failure that it came up after is told with it, and again when it is answered. */
export function questionAfter(asks: PgdbaError, failure: PgdbaError | null): PgdbaError {
  if (!failure) return asks;
  const { code, message, hint, where, step } = asks;
  return new PgdbaError(code, message, {
    hint,
    where,
    step,
    cause: asks,
    data: { failure: errorRecord(failure) as unknown as Json },
  });
}

/** The next thing to do, also about steps that could not be taken back. */
function hintFor(state: RunState, error: ErrorRecord, { failed }: Unwound): string | null {
  const { id, asked } = state;
  if (asked.size > 0) return howToAnswer(id, asked);
  if (error.code === "needs_operator" && error.step !== null)
    return [error.hint, howToAnswer(id, [error.step])].filter(Boolean).join(" ");
  if (error.code === "interrupted" && state.stop.hard.aborted)
    return `What was under way was cut short. \`pgdba resume ${id}\` takes back what was done.`;
  if (failed.length === 0)
    return error.code === "interrupted"
      ? `\`pgdba runs ${id}\` shows what was done and taken back.`
      : error.hint;
  const steps = (...next: string[]) =>
    failed.flatMap((one) => (one.step !== null && next.includes(one.next) ? [one.step] : []));
  const said = [
    `Not taken back: ${several(failed.map(({ path }) => path))} (see error.run.undo.failed).`,
  ];
  if (failed.some(({ next }) => next === "again"))
    said.push(`Mend the cause, then \`pgdba resume ${id}\` tries again.`);
  const ask = steps("ask");
  if (ask.length > 0)
    said.push(
      `Nothing can tell whether ${several(ask)} happened, and it may not be done twice. ${howToAnswer(id, ask)}`,
    );
  if (failed.some(({ next }) => next === "hand"))
    said.push(
      `What no run can take back, take back by hand, then \`pgdba resume ${id}\` with the answer.`,
    );
  const flags = steps("again", "hand").map((step) => `--assume ${step}=done`);
  if (flags.length > 0)
    said.push(`What you have taken back by hand, you say with ${several(flags)}.`);
  if (error.hint !== null && error.code !== "interrupted")
    said.push(`For the failure itself: ${error.hint}`);
  return said.join(" ");
}

function several(words: string[]): string {
  const few = words.slice(0, 5);
  const more = words.length - few.length;
  return more === 0 ? few.join(", ") : `${few.join(", ")} and ${more} more`;
}

function statusOf(exit: ExitCode, plan: boolean, undone: number): RunStatus {
  if (exit === 0) return plan ? "planned" : "ok";
  if (exit === 6) return "needs_operator";
  if (exit === 4) return "waiting";
  if (exit === 130) return "interrupted";
  return undone > 0 ? "undone" : "failed";
}
