import type { Json, JsonObject, ProbeResult, StepContext } from "../../../engine/types.ts";
import type { PatroniClient } from "../../../providers/patroni/client.ts";
import type { PatroniCluster } from "../../../providers/patroni/members.ts";
import type { Moved } from "../../../providers/patroni/move.ts";

/** What a step keeps before it asks for a move: by this a later process finds whether it came. */
export interface Before {
  leader: string | null;
  timeline: number | null;
  candidate: string | null;
  scheduled_at: string | null;
}

const POLL_MS = 500;
/** How long a leader that shuts down is waited for, ms. */
const SHUTDOWN_MS = 60_000;

export function noteBefore(
  ctx: StepContext,
  { leader, members }: PatroniCluster,
  asked: { candidate?: string | null | undefined; scheduled_at?: string | null | undefined },
): Before {
  const timeline = members.find(({ name }) => name === leader)?.timeline ?? null;
  const { candidate = null, scheduled_at = null } = asked;
  const before: Before = { leader, timeline, candidate, scheduled_at };
  ctx.note({ ...before });
  return before;
}

/** The output of a step that has moved the role. */
export async function moved(
  ctx: StepContext,
  client: PatroniClient,
  before: string | null,
  move: Moved,
): Promise<JsonObject> {
  if (!move.as_asked)
    ctx.warn(`${move.leader} leads now, and not ${move.asked}, which was asked for`);
  const { members } = await client.cluster(ctx.signal);
  const api = members.find(({ name }) => name === move.leader)?.api;
  // The store learns of a new timeline a loop later.
  const status = api === undefined ? null : await client.status(api, ctx.signal).catch(() => null);
  return {
    before,
    ...move,
    scheduled: move.scheduled && { ...move.scheduled },
    timeline: status?.timeline ?? null,
  };
}

/**
 * Did the move that was asked for come? Patroni carries one out in its next loop, so that it is given two, and longer while the leader is on
 * its way: it keeps the key until its PostgreSQL has shut down. Another leader, or the same one on a later timeline, tells that the role
 * has moved since.
 */
export async function probeMove(ctx: StepContext): Promise<ProbeResult> {
  const before = ctx.noted as unknown as Before | undefined;
  if (before === undefined) return { state: "not_done" };
  const client = await ctx.use("patroni");
  const loopMs = (Number((await client.config(ctx.signal))["loop_wait"]) || 10) * 1000;
  const began = ctx.clock.monotonic();
  for (;;) {
    const cluster = await client.cluster(ctx.signal);
    const { leader, members, scheduled_switchover: scheduled } = cluster;
    const { candidate: asked } = before;
    const done = async (move: Moved): Promise<ProbeResult> => ({
      state: "done",
      output: (await moved(ctx, client, before.leader, move)) as Json,
    });
    if (before.scheduled_at !== null) {
      if (sameTime(scheduled?.at, before.scheduled_at))
        return done({ leader: null, asked, as_asked: true, scheduled });
    } else if (leader !== null && (leader !== before.leader || isLater(before, members, leader))) {
      return done({ leader, asked, as_asked: asked === null || asked === leader, scheduled: null });
    }
    const waited = ctx.clock.monotonic() - began;
    if (waited >= 2 * loopMs) {
      const doing = before.scheduled_at === null ? await underWay(ctx, client, cluster) : null;
      if (doing === null) return { state: "not_done" };
      if (waited >= 2 * loopMs + SHUTDOWN_MS) return { state: "unknown", reason: doing };
    }
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}

/** Why the move may still be going on; null when the leader leads as it did. */
async function underWay(
  ctx: StepContext,
  client: PatroniClient,
  { leader, members }: PatroniCluster,
): Promise<string | null> {
  const at = members.find(({ name }) => name === leader)?.api;
  if (leader === null || at === undefined) return "nobody leads the cluster now";
  try {
    const { state, role } = await client.status(at, ctx.signal);
    const leads = role === "primary" || role === "standby_leader";
    return state === "running" && leads ? null : `${leader} holds the leader key and is ${state}`;
  } catch {
    ctx.signal.throwIfAborted();
    return `${leader} holds the leader key and does not answer`;
  }
}

function isLater(before: Before, members: PatroniCluster["members"], leader: string): boolean {
  const now = members.find(({ name }) => name === leader)?.timeline ?? null;
  return now !== null && before.timeline !== null && now > before.timeline;
}

function sameTime(one: string | undefined, other: string): boolean {
  return one !== undefined && Date.parse(one) === Date.parse(other);
}
