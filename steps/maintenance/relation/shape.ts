import { lockTimeoutInput } from "../../sql/lock-timeout.ts";
import { milliseconds } from "../../sql/session.ts";

export const LOCK_TIMEOUT = "10s";

/** The parts of the input that all of them have. */
export const ON_TABLE = {
  schema: { type: "string", minLength: 1, description: "Its schema" },
  table: { type: "string", minLength: 1, description: "Its name" },
} as const;

export const LIMITS = {
  lock_timeout: lockTimeoutInput(LOCK_TIMEOUT, "a lock"),
  timeout: {
    type: ["string", "null"],
    format: "duration",
    description: "How long the command may take; by default the server's own statement_timeout",
  },
} as const;

export function limitsOf(input: { lock_timeout?: string | null; timeout?: string | null }): {
  lockTimeoutMs: number | undefined;
  timeoutMs: number | undefined;
} {
  return {
    lockTimeoutMs: milliseconds(input.lock_timeout ?? LOCK_TIMEOUT),
    timeoutMs: milliseconds(input.timeout ?? undefined),
  };
}
