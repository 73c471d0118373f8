import { PgdbaError, toPgdbaError } from "../errors.ts";
import { UnknownValue } from "../expr/unknown.ts";
import type { ErrorRecord, Step } from "../types.ts";
import type { Scope } from "./state.ts";

/** A thrown value as the error of a step, placed at its line in the runbook. UnknownValue is left alone. */
export function stepError(thrown: unknown, scope: Scope, step: Step, path: string): PgdbaError {
  const error = thrown instanceof PgdbaError ? thrown : unforeseen(thrown);
  error.step ??= path;
  if (!error.where) {
    const { file, line, column } = scope.runbook.doc.at(step.at);
    error.where = { file, line, column };
  }
  return error;
}

function unforeseen(thrown: unknown): PgdbaError {
  if (thrown instanceof UnknownValue) {
    // In a plan this never comes so far; here it is what an earlier process had and did not keep.
    return new PgdbaError("step_failed", `${thrown.path} is needed again, and ${thrown.why}`, {
      cause: thrown,
      hint: "Start the runbook anew.",
    });
  }
  const error = toPgdbaError(thrown, "step_failed");
  if (error.code !== "step_failed") return error;
  return new PgdbaError("step_failed", error.message, {
    cause: thrown,
    hint: "The step type failed in a way it did not foresee; PGDBA_DEBUG=1 shows the stack.",
  });
}

/** The error of a sensitive step may hold parts of its output, and nobody knows which. */
export function withheld(thrown: unknown, what: string): unknown {
  if (thrown instanceof UnknownValue) return thrown;
  const { code, retryable, final } = toPgdbaError(thrown, "step_failed");
  if (final) return thrown;
  return new PgdbaError(
    code,
    `${what} failed; what it said is withheld, for the step is sensitive`,
    {
      retryable,
      hint: "A step that reads sensitive data is sensitive, too. To see it, run it by hand, or with `sensitive: false` where nobody reads along.",
    },
  );
}

/** The failure of a step in an earlier process, as it was. */
export function recordedError(record: ErrorRecord): PgdbaError {
  return new PgdbaError(record.code, record.message, {
    hint: record.hint ?? undefined,
    where: record.where ?? undefined,
    step: record.step ?? undefined,
    retryable: record.retryable,
    data: record.data,
    final: record.final,
  });
}
