import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { atServer } from "../whole/servers.ts";

const STARTED = "SELECT pg_postmaster_start_time()::text AS at";
/** A recovery of what a drill has written, and a loop of Patroni, take less, ms. */
const BACK_MS = 120_000;
const POLL_MS = 200;

/**
 * PostgreSQL is killed and starts anew, where it is: what it had in memory is gone, and nothing of it was written. Nobody else is told,
 * and whoever watches over it starts it again; where nobody does, it is started here.
 */
export async function restarted(ctx: StepContext, nodes: Nodes, node: string): Promise<void> {
  const before = await startOf(ctx, node).catch(() => null);
  if (before !== null) await nodes.kill(node, "process", { role: "postgres" });
  const ends = ctx.clock.monotonic() + BACK_MS;
  let why = "";
  for (;;) {
    try {
      await nodes.start(node, { role: "postgres" });
      const now = await startOf(ctx, node);
      if (now !== before) return;
      why = "it was not killed";
    } catch (error) {
      ctx.signal.throwIfAborted();
      why = toPgdbaError(error).message;
    }
    if (ctx.clock.monotonic() > ends)
      throw new PgdbaError("timeout", `${node} did not come back: ${why}`, {
        hint: `Look at its log. What was damaged there is told by: pgdba cluster status --cluster ${ctx.target.name}.`,
      });
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}

const startOf = (ctx: StepContext, node: string): Promise<string> =>
  atServer(ctx, node, async (pg, signal) =>
    String((await pg.ask(STARTED, [], { signal })).rows[0]!["at"]),
  );
