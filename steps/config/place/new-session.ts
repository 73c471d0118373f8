import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/**
 * Sees that a server still lets sessions in: with a library that can't be preloaded, say, those that are open go on and no other begins.
 * @throws PgdbaError step_failed
 */
export async function opensSessions(
  ctx: StepContext,
  server: string,
  open: () => Promise<PgSession>,
): Promise<void> {
  try {
    await (await open()).close();
  } catch (cause) {
    const error = toPgdbaError(cause);
    // No connection is free, or the server is on its way: that is not of the settings' making.
    if (error.retryable) {
      ctx.warn(`No new session with ${server} could be tried: ${error.message}`);
      return;
    }
    throw new PgdbaError(
      "step_failed",
      `With these settings ${server} takes no new session: ${error.message}`,
      { hint: "The server's log says more.", cause },
    );
  }
}
