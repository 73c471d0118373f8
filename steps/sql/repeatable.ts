import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../engine/types.ts";
import { sqlstateOf } from "../../providers/postgres/errors.ts";
import { another } from "./session.ts";

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

/**
 * The error of a statement during which the connection ended, with whether the server still answers: one that is gone, as after a shutdown that the statement
 * itself brought about, is not to be asked again.
 */
export async function withServerState(ctx: StepContext, error: unknown): Promise<unknown> {
  if (!(error instanceof PgdbaError) || ctx.signal.aborted) return error;
  const data = error.data as JsonObject | undefined;
  if (data?.["outcome"] !== "unknown" && !wasCut(error)) return error;
  try {
    await (await another(ctx)).close();
    return error;
  } catch (second) {
    if (!(second instanceof PgdbaError) || second.code !== "connection_failed") return error;
    return new PgdbaError(
      error.code,
      `${error.message}. The server does not answer any more: ${second.message}`,
      {
        hint: "It has stopped, is starting, or can't be reached: its log tells why. Once it answers, look at whether the change was made before this is run again.",
        retryable: error.retryable,
        cause: error,
        data: { ...data, answers: false },
      },
    );
  }
}

/** The connection ended in the middle: no server refused it. */
function wasCut(error: PgdbaError): boolean {
  const state = sqlstateOf(error);
  return error.code === "connection_failed" && (state === undefined || state.startsWith("57P"));
}
