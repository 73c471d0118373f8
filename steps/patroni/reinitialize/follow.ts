import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { Json, StepContext } from "../../../engine/types.ts";
import { leaderOf } from "../../../providers/patroni/members.ts";
import { memberNamed } from "../named.ts";

/** What is kept before it begins. */
export interface Begun {
  /** When its PostgreSQL had been started; null when it did not run. */
  started: string | null;
}

interface Look {
  /** In Patroni's word; null when it does not answer. */
  state: string | null;
  /** Its PostgreSQL is no longer the one of before. */
  begun: boolean;
  /** It runs anew, and streams. */
  done: boolean;
  leader: string;
}

const POLL_MS = 500;
/** The copy that is being taken, as the server that gives it sees it. */
const COPIED = `SELECT b.backup_streamed AS done, b.backup_total AS total
FROM pg_stat_progress_basebackup b JOIN pg_stat_replication r USING (pid)
ORDER BY r.application_name = $1 DESC, r.backend_start DESC LIMIT 1`;
/** In Patroni's words: it takes a copy. */
const COPYING = "creating replica";

/** Where the copy stands. */
export async function look(ctx: StepContext, name: string, { started }: Begun): Promise<Look> {
  const client = await ctx.use("patroni");
  const members = await client.members(ctx.signal);
  const leader = leaderOf(members);
  const at = leader?.name ?? "";
  const silent = (): null => {
    ctx.signal.throwIfAborted();
    return null;
  };
  const status = await client.status(memberNamed(members, name).api, ctx.signal).catch(silent);
  if (status === null) return { state: null, begun: false, done: false, leader: at };
  const { state, postmaster_start_time: now } = status;
  const anew = state === "running" && now !== null && now !== started;
  // One that did not run before may only be as it was.
  const begun = anew || state === COPYING || (started !== null && state !== "running");
  if (!anew) return { state, begun, done: false, leader: at };
  const own = leader && (await client.status(leader.api, ctx.signal).catch(silent));
  const streams = own?.replication.some(
    (one) => one.application_name === name && one.state === "streaming",
  );
  return { state, begun: true, done: streams === true, leader: at };
}

/** Waits until it streams, telling how far the copy is. @throws PgdbaError timeout */
export async function follow(
  ctx: StepContext,
  name: string,
  begun: Begun,
  ends: number,
): Promise<{ member: string; leader: string; seconds: number }> {
  const began = ctx.clock.monotonic();
  for (;;) {
    const now = await look(ctx, name, begun).catch((thrown: unknown): Look => {
      // A failover in the meantime leaves nobody to ask for a moment.
      ctx.signal.throwIfAborted();
      ctx.log(toPgdbaError(thrown).message);
      return { state: null, begun: true, done: false, leader: "" };
    });
    if (now.done) {
      const seconds = Math.round((ctx.clock.monotonic() - began) / 10) / 100;
      return { member: name, leader: now.leader, seconds };
    }
    if (ctx.clock.monotonic() >= ends) {
      throw new PgdbaError(
        "timeout",
        `${name} does not stream yet: it is ${now.state ?? "silent"}`,
        {
          hint: `Patroni goes on with it. Look at its log on ${name}, and at \`pgdba cluster status\`.`,
        },
      );
    }
    ctx.progress({
      text: now.state ?? "does not answer",
      ...(now.state === COPYING ? await copied(ctx, name, now.leader) : {}),
    });
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}

/** How much has been copied, where the leader gives the copy and can be asked. */
async function copied(
  ctx: StepContext,
  name: string,
  leader: string,
): Promise<{ done?: number; total?: number; unit?: string }> {
  const { capabilities } = await ctx.target.facts();
  if (leader === "" || !capabilities.includes("member")) return {};
  try {
    const pg = await (await ctx.use("member")).open(leader);
    try {
      const { rows } = await pg.query(COPIED, [name]);
      const { done, total } = (rows[0] ?? {}) as Record<string, Json>;
      if (done === undefined || total === null) return {};
      return { done: Number(done), total: Number(total), unit: "bytes" };
    } finally {
      await pg.close();
    }
  } catch {
    ctx.signal.throwIfAborted();
    return {};
  }
}
