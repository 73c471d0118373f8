import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { onMember, session } from "../../sql/session.ts";

/** A standby replays what the leader has written so far within this time, ms. */
const REPLAY_MS = 60_000;
const POLL_MS = 100;

/** Waits until the standby has replayed all that the leader had written when it was asked. @throws PgdbaError timeout */
export async function replayed(ctx: StepContext, node: string, pg: PgSession): Promise<void> {
  if (!pg.info.standby) return;
  const leader = await session(ctx);
  const { rows } = await leader.ask("SELECT pg_current_wal_lsn()::text AS lsn");
  const lsn = String(rows[0]!["lsn"]);
  const ends = ctx.clock.monotonic() + REPLAY_MS;
  for (;;) {
    const text = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS there";
    const asked = await pg.ask(text, [lsn], { signal: ctx.signal });
    if (asked.rows[0]!["there"] === true) return;
    if (ctx.clock.monotonic() > ends)
      throw new PgdbaError(
        "timeout",
        `${node} did not replay ${lsn} within ${REPLAY_MS / 1000} s`,
        {
          hint: "Look at `pgdba cluster status`: it may not stream, or its replay may be paused.",
          retryable: true,
        },
      );
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}

/** The pages are on disk as they are in memory; a standby can write a checkpoint of its own only after one of the leader. */
export async function onDisk(ctx: StepContext, node: string): Promise<void> {
  const checkpoint = { alone: true, signal: ctx.signal };
  await (await session(ctx)).query("CHECKPOINT", [], checkpoint);
  await onMember(ctx, node, async (pg) => {
    await replayed(ctx, node, pg);
    if (pg.info.standby) await pg.query("CHECKPOINT", [], checkpoint);
  });
}
