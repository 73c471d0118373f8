import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject } from "../../engine/types.ts";
import { sqlstateOf } from "../../providers/postgres/errors.ts";

/** The error of a statement that may be done twice: nobody needs to know what became of it when the connection ended, so that it can be tried again. */
export function repeatable(error: unknown): unknown {
  if (!(error instanceof PgdbaError)) return error;
  const data = error.data as JsonObject | undefined;
  if (data?.["outcome"] !== "unknown" && !wasCut(error)) return error;
  return new PgdbaError("connection_failed", error.message, {
    hint: "The statement may be done twice, so the step can be tried again.",
    retryable: true,
    cause: error,
    data,
  });
}

/** The connection ended in the middle: no server refused it. */
function wasCut(error: PgdbaError): boolean {
  const state = sqlstateOf(error);
  return error.code === "connection_failed" && (state === undefined || state.startsWith("57P"));
}
