import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { sqlstateOf } from "../../providers/postgres/errors.ts";
import { defineStep } from "../define.ts";
import { onMember, session } from "../sql/session.ts";
import { commitMark, type Mark } from "./marks/commit.ts";
import cancelled from "./sql/cancel.sql" with { type: "text" };

const POLL_MS = 20;

export default defineStep({
  type: "failover.mark",
  summary: "Commit a mark by which a later look tells whether a new primary has all of it",
  docs: `The mark is a transaction that writes to the WAL and to no table: its id can be asked for afterwards (\`failover.settled\`), and nothing
of it stays. That it could be committed shows that the primary takes writes; a primary that is just being elected is waited for.

With \`standby\` it is done when that member has replayed the mark, so that everything before it is there. With \`checkpoint\` the primary
writes a checkpoint before, so that it has little to do when it stops. With \`cancel\` these backends are ended first, where the transaction
that each of them has open is as old as \`older_than\`.`,
  example: `- failover.mark: {standby: pg2, checkpoint: true}
`,
  effect: "change",
  // Another mark does no harm, and the last one counts.
  idempotent: true,
  interruptible: true,
  risk: (input) => (input.cancel === undefined ? "change" : "disruptive"),
  locks: "roles",
  needs: (input) => ["postgres", ...(input.standby === undefined ? [] : ["member"])],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      standby: { type: "string", description: "The member that must have replayed it" },
      wait: {
        type: "string",
        format: "duration",
        default: "30s",
        description: "How long the member is given for that",
      },
      checkpoint: { type: "boolean", default: false },
      cancel: {
        type: "array",
        items: { type: "integer" },
        description: "Process ids of backends, as `failover.checks` gives them in `transactions`",
      },
      older_than: { type: "string", format: "duration", default: "15s" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["xid", "lsn", "cancelled", "checkpoint_ms", "replayed_ms"],
    properties: {
      xid: { type: "string", description: "The transaction's id, with its epoch" },
      lsn: { type: "string", description: "The WAL up to here holds it" },
      cancelled: { type: "array", items: { type: "integer" } },
      checkpoint_ms: { type: ["integer", "null"], description: "Null where none was written" },
      replayed_ms: { type: ["integer", "null"], description: "Until the member had replayed it" },
    },
  },
  async run(ctx, input) {
    const { cancel = [], older_than = "15s", standby, wait = "30s" } = input;
    const ended = cancel.length === 0 ? [] : await end(await session(ctx), cancel, older_than);
    const checkpoint_ms = input.checkpoint === true ? await checkpoint(ctx) : null;
    const mark = await commitMark(await session(ctx), ctx.run.id, ctx.signal);
    const replayed_ms =
      standby === undefined ? null : await replayed(ctx, standby, mark, parseDuration(wait));
    return { ...mark, cancelled: ended, checkpoint_ms, replayed_ms };
  },
  async plan(_ctx, { cancel = [], checkpoint: writes = false, standby = null }): Promise<Json> {
    return { would_end: cancel, checkpoint: writes, standby };
  },
});

/** Ends the backends whose transaction is still as old: a process id may be another's by now. */
async function end(pg: PgSession, pids: readonly number[], olderThan: string): Promise<number[]> {
  const { rows } = await pg.transaction({ readOnly: false }, (run) =>
    run(cancelled, [pids, parseDuration(olderThan) / 1000]),
  );
  return rows.filter(({ ended }) => ended === true).map(({ pid }) => Number(pid));
}

async function checkpoint(ctx: StepContext): Promise<number | null> {
  const began = ctx.clock.monotonic();
  try {
    await (await session(ctx)).query("CHECKPOINT", [], { alone: true, signal: ctx.signal });
  } catch (error) {
    if (sqlstateOf(error) !== "42501") throw error;
    ctx.warn(
      "No checkpoint was written: the role may not (pg_checkpoint). The old primary's stop takes longer.",
    );
    return null;
  }
  return Math.round(ctx.clock.monotonic() - began);
}

/** @throws PgdbaError step_failed */
async function replayed(
  ctx: StepContext,
  standby: string,
  { lsn }: Mark,
  waitMs: number,
): Promise<number> {
  const began = ctx.clock.monotonic();
  return onMember(ctx, standby, async (pg) => {
    for (;;) {
      const sql = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AS there";
      const { rows } = await pg.ask(sql, [lsn], { signal: ctx.signal });
      const took = ctx.clock.monotonic() - began;
      if (rows[0]?.["there"] === true) return Math.round(took);
      if (took > waitMs)
        throw new PgdbaError(
          "step_failed",
          `${standby} has not replayed ${lsn} within ${waitMs / 1000} s`,
          {
            hint: "It receives or replays too slowly, or not at all: look at its lag (failover/status) and at its log.",
          },
        );
      await ctx.clock.sleep(POLL_MS, ctx.signal);
    }
  });
}
