import type { Json, Where } from "./types.ts";

/**
 * Every way pgdba can fail, and the exit code each leads to before the outcome of the run is known.
 * 0 done · 1 failed · 2 usage or invalid runbook · 3 a gate refused · 4 approval needed ·
 * 5 failed and undone · 6 failed, a person must look · 130 interrupted.
 * (5 is never the code of an error: `exitCode` in envelope.ts derives it from what the undo phase did.)
 */
export const EXIT_BY_CODE = {
  usage: 2,
  unknown_command: 2,
  unknown_runbook: 2,
  unknown_run: 2,
  invalid_runbook: 2,
  invalid_param: 2,
  invalid_config: 2,
  missing_secret: 2,
  no_target: 2,
  gate_refused: 3,
  policy_refused: 3,
  identity_mismatch: 3,
  capability_missing: 3,
  lock_held: 3,
  approval_needed: 4,
  assertion_failed: 1,
  threshold_reached: 1,
  expression_failed: 1,
  step_failed: 1,
  step_refused: 1,
  command_failed: 1,
  http_failed: 1,
  timeout: 1,
  limit_exceeded: 1,
  connection_failed: 1,
  query_failed: 1,
  insufficient_privilege: 1,
  secret_exposed: 1,
  io_failed: 1,
  test_failed: 1,
  unsupported: 1,
  lock_lost: 6,
  journal_failed: 6,
  undo_failed: 6,
  needs_operator: 6,
  interrupted: 130,
  internal: 1,
} as const;

export type ErrorCode = keyof typeof EXIT_BY_CODE;
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 130;

/** A step that throws one of these did nothing yet: it refused its input, its target or its privileges before it acted. */
export function saysNothingDone(code: ErrorCode): boolean {
  const exit = EXIT_BY_CODE[code];
  return exit === 2 || exit === 3 || code === "step_refused" || code === "unsupported";
}

export interface ErrorDetail {
  hint?: string | undefined;
  where?: Where | undefined;
  /** Id (or path) of the step that failed. */
  step?: string | undefined;
  /** True when the same call may succeed later without any change. */
  retryable?: boolean | undefined;
  cause?: unknown;
  /** Structured evidence: an expression trace, a list of diagnostics, an SQLSTATE. */
  data?: Json | undefined;
}

/** The one error class. Classify by `code`, never by message text. */
export class PgdbaError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly data: Json | undefined;
  where: Where | undefined;
  step: string | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = "PgdbaError";
    this.code = code;
    this.hint = detail.hint;
    this.where = detail.where;
    this.step = detail.step;
    this.retryable = detail.retryable ?? false;
    this.data = detail.data;
  }
}

/** Any thrown value as a PgdbaError, keeping it as `cause`. Unknown ones get `fallback`. */
export function toPgdbaError(thrown: unknown, fallback: ErrorCode = "internal"): PgdbaError {
  if (thrown instanceof PgdbaError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const hint =
    fallback === "internal"
      ? "This is a defect in pgdba; run again with PGDBA_DEBUG=1 and report the stack."
      : undefined;
  return new PgdbaError(fallback, message, { cause: thrown, hint });
}
