import { sleep } from "../../../engine/shared/sleep.ts";
import type { StepContext } from "../../../engine/types.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type {} from "../../../providers/target/access.ts";

const WAIT_MS = 60_000;
const POLL_MS = 100;

/**
 * A standby can begin a backup only where the primary's last checkpoint began, which may be long ago: then more WAL is needed than has to be, and an
 * increment may not be possible. So the primary makes one now, and the standby is waited for. A role that may not ask for one does without.
 */
export async function checkpointFor(ctx: StepContext, member: string): Promise<void> {
  const primary = await (await ctx.use("postgres")).session();
  try {
    await primary.query("CHECKPOINT", [], { alone: true, signal: ctx.signal });
  } catch (error) {
    if (sqlstateOf(error) !== "42501") throw error;
    return;
  }
  const { rows } = await primary.ask("SELECT pg_current_wal_lsn()::text AS at", [], {
    signal: ctx.signal,
  });
  const pg = await (await ctx.use("member")).open(member);
  try {
    const deadline = performance.now() + WAIT_MS;
    while (performance.now() < deadline) {
      const { rows: now } = await pg.ask(
        "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS there",
        [rows[0]?.["at"]],
        { signal: ctx.signal },
      );
      if (now[0]?.["there"] === true) return;
      await sleep(POLL_MS, ctx.signal);
    }
  } finally {
    await pg.close();
  }
}
