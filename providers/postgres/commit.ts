import { PgdbaError, withNothingDone } from "../../engine/errors.ts";
import { type Channel, reasonOf } from "./channel.ts";
import { sqlstateOf } from "./errors.ts";

/** SQLSTATEs after which nobody knows: the session ended, the connection broke, or the server says so (40003). */
const UNKNOWN = /^(57P|08|40003)/;

/**
 * A cancelled COMMIT is either undone (an error) or committed here and nowhere else (a warning); both are told apart below, so
 * that an abort may end a wait for a standby that never answers.
 * @throws PgdbaError needs_operator when the outcome is unknown or no standby has confirmed it
 */
export async function commit(channel: Channel, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) {
    await channel.control("ROLLBACK");
    throw withNothingDone(reasonOf(signal));
  }
  const kept = channel.takeNotices();
  try {
    await channel.control("COMMIT", signal);
  } catch (error) {
    const state = sqlstateOf(error);
    if (state === undefined || UNKNOWN.test(state)) throw unknownOutcome("COMMIT", error);
    throw error instanceof PgdbaError ? withNothingDone(error) : error;
  }
  const during = channel.takeNotices();
  channel.putBack([...kept, ...during]);
  // SyncRepWaitForLSN in the server's syncrep.c: WARNING 01000 and then a COMMIT that looks like any other.
  if (during.some((notice) => notice.severity === "WARNING" && notice.sqlstate === "01000")) {
    throw new PgdbaError(
      "needs_operator",
      "The change is committed on this server but no standby has confirmed it",
      {
        hint: "Look at pg_stat_replication; the change would be lost in a failover now. Do not repeat it.",
        data: { sqlstate: "01000", outcome: "not_acknowledged" },
      },
    );
  }
}

/** The connection ended while the server may or may not have done what it was asked for. */
export function unknownOutcome(during: string, cause: unknown): PgdbaError {
  return new PgdbaError(
    "needs_operator",
    `The connection was lost during ${during}: it is not known whether the change happened`,
    {
      hint: "Check on the server whether the change was made, before you run it again.",
      cause,
      data: { sqlstate: sqlstateOf(cause) ?? null, outcome: "unknown" },
    },
  );
}
