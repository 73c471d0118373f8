import type { Json, JsonObject, Where } from "./json.ts";

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
  repository_failed: 1,
  repository_full: 1,
  object_differs: 1,
  backup_damaged: 1,
  test_failed: 1,
  unsupported: 1,
  lock_lost: 6,
  journal_failed: 6,
  audit_broken: 6,
  undo_failed: 6,
  needs_operator: 6,
  interrupted: 130,
  internal: 1,
} as const;

export type ErrorCode = keyof typeof EXIT_BY_CODE;
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 130;

/** Errors that no retry, rescue or ignore_error may take: the run itself can't go on. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "interrupted",
  "lock_lost",
  "journal_failed",
  "needs_operator",
  "approval_needed",
  "secret_exposed",
]);

export function isFinal(code: ErrorCode): boolean {
  return FINAL.has(code);
}

/** A step that throws one of these did nothing yet: it refused its input or its target before it acted. */
export function refusesToAct(code: ErrorCode): boolean {
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
  /**
   * For the error of one act (a statement, a program, a request): whether it is known that this act did not happen, because it did
   * not begin, or was rolled back whole. It tells nothing of what else the step did, unless its type is `oneAct`. Without it, the
   * code tells of the whole step: see `refusesToAct`.
   */
  nothingDone?: boolean | undefined;
  /** True when no retry, rescue or ignore_error may take it; for some codes it always is: see `isFinal`. */
  final?: boolean | undefined;
}

/** The one error class. Classify by `code`, never by message text. */
export class PgdbaError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly data: Json | undefined;
  readonly nothingDone: boolean | undefined;
  readonly final: boolean;
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
    this.nothingDone = detail.nothingDone;
    this.final = detail.final ?? isFinal(code);
  }
}

/** The same error with `nothingDone`. A new object: the reason of a signal is shared by many steps. */
export function withNothingDone(error: PgdbaError, nothingDone = true): PgdbaError {
  if (error.nothingDone === nothingDone) return error;
  const { code, message, hint, retryable, data, final, where, step } = error;
  const cause = error.cause ?? error;
  const detail = { hint, retryable, data, final, where, step, cause, nothingDone };
  return new PgdbaError(code, message, detail);
}

/** The same reason, with more evidence (a map) or another hint, told to another step: each step writes its own id into the error that ends it. */
export function copyOf(error: PgdbaError, more?: JsonObject, hint = error.hint): PgdbaError {
  const { code, message, retryable, final, nothingDone } = error;
  const data = more === undefined ? error.data : { ...(error.data as JsonObject), ...more };
  return new PgdbaError(code, message, { hint, retryable, data, final, nothingDone, cause: error });
}

/** Only files and folders have these, so that the error may name none. */
const OF_FILES: readonly unknown[] = ["ENOSPC", "EDQUOT", "EROFS", "EISDIR", "ENOTDIR"];

/** True for what the operating system says of a file or a folder. */
function isOfFile(thrown: unknown): boolean {
  const { code, syscall, path } = (thrown ?? {}) as Record<string, unknown>;
  if (typeof code !== "string" || typeof syscall !== "string") return false;
  // A program that can't be started and a socket have a path, too.
  return OF_FILES.includes(code) || (typeof path === "string" && !/spawn|connect/.test(syscall));
}

/** Any thrown value as a PgdbaError, keeping it as `cause`. Unknown ones get `fallback`. */
export function toPgdbaError(thrown: unknown, fallback: ErrorCode = "internal"): PgdbaError {
  if (thrown instanceof PgdbaError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if ((fallback === "internal" || fallback === "step_failed") && isOfFile(thrown))
    return new PgdbaError("io_failed", message, {
      cause: thrown,
      hint: "Look at what the message names: is it there, is there space, and may this user read and write it?",
    });
  const hint =
    fallback === "internal"
      ? "This is a defect in pgdba; run again with PGDBA_DEBUG=1 and report the stack."
      : undefined;
  return new PgdbaError(fallback, message, { cause: thrown, hint });
}
