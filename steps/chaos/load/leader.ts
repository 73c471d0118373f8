import { PgdbaError } from "../../../engine/errors.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/** Opens sessions with one member. */
export type Way = (options?: { timeoutMs?: number }) => Promise<PgSession>;

/**
 * Directly to whoever leads, as a client does that has all addresses: members are tried in turn, the one that led last first, and one that is
 * in recovery is left again.
 */
export function toLeader(
  members: readonly { name: string; way: Way }[],
  timeoutMs: number,
): (attempt: number) => Promise<PgSession> {
  let last = 0;
  return async () => {
    const at = last;
    const { name, way } = members[at % members.length]!;
    try {
      const pg = await way({ timeoutMs });
      if (!pg.info.standby) return pg;
      void pg.close().catch(() => {});
      throw new PgdbaError("connection_failed", `${name} is a standby`, {
        hint: "Another member leads.",
        retryable: true,
      });
    } catch (error) {
      // Others may have tried the next one meanwhile.
      if (last === at) last = (at + 1) % members.length;
      throw error;
    }
  };
}
