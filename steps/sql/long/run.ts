import type { JsonObject, ProbeResult, StepContext } from "../../../engine/types.ts";
import type { Notice } from "../../../providers/postgres/channel.ts";
import { repeatable, withServerState } from "../repeatable.ts";
import { another, backendOf, serverOf, session } from "../session.ts";
import { watch } from "./watch.ts";

const POLL_MS = 1000;

export interface Limits {
  lockTimeoutMs: number | undefined;
  timeoutMs: number | undefined;
}

/**
 * Runs one command that takes long, and that may be done twice, in a session of its own: the server goes on with it when this process
 * dies. Which session it is stands on disk before it begins, so that `LONG` finds it again. Progress is told meanwhile.
 * @param mark what tells afterwards whether it was done, kept beside the session: see `markOf`
 * @returns the server's warnings
 * @throws PgdbaError query_failed | timeout | insufficient_privilege | connection_failed (retryable when nobody knows how it ended)
 */
export async function runLong(
  ctx: StepContext,
  sql: string,
  limits: Limits,
  mark: number,
): Promise<Notice[]> {
  const pg = await another(ctx);
  const ended = new AbortController();
  let watching: Promise<void> | undefined;
  if (pg.info.pooled && limits.lockTimeoutMs !== undefined)
    ctx.warn(
      "A pooler stands between pgdba and the server, where no lock timeout can be set for this command: it waits for locks as long as they are held",
    );
  try {
    ctx.note({ ...(await backendOf(pg)), mark, server: await serverOf(pg) });
    pg.notices();
    watching = watch(ctx, pg.info.pid, ended.signal);
    await pg.query(sql, [], { ...limits, signal: ctx.signal, changes: true });
    return pg.notices().filter(({ severity }) => severity === "WARNING");
  } catch (error) {
    throw await withServerState(ctx, repeatable(error));
  } finally {
    ended.abort();
    await watching;
    await pg.close();
  }
}

/** The mark that an earlier process or attempt has left before it began; null without one. */
export function markOf(ctx: StepContext): number | null {
  const mark = (ctx.noted as JsonObject | undefined)?.["mark"];
  return typeof mark === "number" ? mark : null;
}

/** The same where it is a counter of the server: that of another one, after a failover, or of an earlier start, tells nothing. */
export async function counterOf(ctx: StepContext): Promise<number | null> {
  const mark = markOf(ctx);
  if (mark === null) return null;
  const server = (ctx.noted as JsonObject)["server"];
  return server === (await serverOf(await session(ctx))) ? mark : null;
}

/** What the step types have in common whose command `runLong` runs, and after which nothing has to be taken back. */
export const LONG = {
  async probe(ctx: StepContext): Promise<ProbeResult> {
    return { state: (await stillRuns(ctx)) ? "running" : "not_done" };
  },
  /** Ends the command of the session that the step noted last. */
  async stop(ctx: StepContext): Promise<void> {
    const pg = await session(ctx);
    for (const pid of await noted(ctx)) await pg.ask("SELECT pg_cancel_backend($1)", [pid]);
  },
  /** What was there was no better. */
  async undo(ctx: StepContext): Promise<void> {
    ctx.unchanged();
  },
};

/** Whether the session that the step noted last is still at its command. */
async function stillRuns(ctx: StepContext): Promise<boolean> {
  return (await noted(ctx)).length > 0;
}

/** Waits until the command of an earlier process or attempt has ended. */
export async function waitForEnd(ctx: StepContext): Promise<void> {
  const pid = Number((ctx.noted as JsonObject | undefined)?.["pid"]);
  const ended = new AbortController();
  const watching = watch(ctx, pid, ended.signal);
  try {
    while (await stillRuns(ctx)) await ctx.clock.sleep(POLL_MS, ctx.signal);
  } finally {
    ended.abort();
    await watching;
  }
}

/** By its beginning too: see `backendOf`. */
async function noted(ctx: StepContext): Promise<number[]> {
  const note = ctx.noted as JsonObject | undefined;
  if (note === undefined) return [];
  const pg = await session(ctx);
  const { rows } = await pg.ask(
    "SELECT pid FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2 AND state = 'active'",
    [note["pid"], note["began"]],
  );
  return rows.map((row) => Number(row["pid"]));
}
