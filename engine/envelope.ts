import { EXIT_BY_CODE, type ExitCode, isFinal, type PgdbaError } from "./errors.ts";
import { cut, cutEvidence } from "./shared/cut.ts";
import type { Envelope, ErrorRecord, Json } from "./types.ts";

/** An error as it stands in envelopes, journals and events, however much somebody else has put into it. */
export function errorRecord(error: PgdbaError): ErrorRecord {
  return {
    code: error.code,
    message: cut(error.message),
    step: error.step ?? null,
    where: error.where ?? null,
    hint: error.hint === undefined ? null : cut(error.hint),
    retryable: error.retryable,
    ...(error.data === undefined ? {} : { data: cutEvidence(error.data) }),
    ...(error.final && !isFinal(error.code) ? { final: true } : {}),
  };
}

export function success(command: string, now: Date, data: Json): Envelope {
  return { success: true, timestamp: now.toISOString(), command, data, error: null };
}

export function failure(
  command: string,
  now: Date,
  error: ErrorRecord,
  data: Json = null,
  run?: Json,
): Envelope {
  // Only a resumed run needs it.
  const { final: _, ...told } = error;
  return {
    success: false,
    timestamp: now.toISOString(),
    command,
    data,
    error: run === undefined ? told : { ...told, run },
  };
}

/**
 * The exit code of a failed run. What a person must look at wins over everything; then an interruption; then `undone`.
 */
export function exitCode(
  error: ErrorRecord,
  unwound: { undone: number; undoFailed: number },
): ExitCode {
  const plain = EXIT_BY_CODE[error.code];
  if (plain === 6 || unwound.undoFailed > 0) return 6;
  if (plain === 130) return 130;
  return unwound.undone > 0 ? 5 : plain;
}
