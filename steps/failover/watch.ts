import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { sleep } from "../../engine/shared/sleep.ts";
import type { Json, JsonObject, StepContext } from "../../engine/types.ts";
import type { DcsAccess, LeaderKey } from "../../providers/dcs/contract.ts";
import { type Nodes, REMOVAL } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { silence, type Times } from "./watch/silence.ts";
import { Waker } from "./watch/waker.ts";

/** Events may be late or lost: the leader is looked at this often in any case, ms. */
const LOOK_MS = 1000;
/** How long the leader's own Patroni is given to answer, ms. */
const ANSWER_MS = 1000;

interface Found {
  node: string;
  proven: boolean;
  how: string;
  ttl_seconds: number | null;
}

export default defineStep({
  type: "failover.watch",
  summary: "Wait until the node of the leader is proven dead",
  docs: `Goes by the events of the place where the nodes live, and looks once a second besides. Dead is what whoever has power over the node says is
dead and stays so: a time that ran out and a node that does not answer prove nothing. While the cluster is paused, while a run removes it, and while
nobody holds the leader key, it waits on. It fails with \`no_target\` when nothing of the cluster is left.

With \`fence\` it also ends for a leader whose Patroni does not answer and has not renewed its key, with \`proven: false\`: whoever goes on must
fence the node first.

One run at a time watches a cluster: it holds the lease \`guard\` of the nodes until the run ends.`,
  example: `- failover.watch: {fence: false}
`,
  // The lease is all that it changes.
  effect: "change",
  idempotent: true,
  interruptible: true,
  locks: "none",
  needs: ["nodes", "dcs", "patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      fence: {
        type: "boolean",
        default: false,
        description: "Also end for a leader that is silent",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "proven", "how", "ttl_seconds"],
    properties: {
      node: { type: "string", description: "The node, and the member, that holds the leader key" },
      proven: { type: "boolean", description: "It is dead; false: it is silent" },
      how: { type: "string" },
      ttl_seconds: { type: ["number", "null"], description: "What is left of the leader key" },
    },
  },
  async run(ctx, { fence = false }): Promise<Found> {
    await alone(ctx);
    ctx.unchanged();
    const nodes = await ctx.use("nodes");
    const waker = new Waker();
    const watched = new AbortController();
    const until = AbortSignal.any([ctx.signal, watched.signal]);
    const watching = follow(nodes, waker, until);
    const world: World = { ctx, nodes, fence, said: "", unanswered: 0 };
    try {
      for (;;) {
        const found = await look(world);
        if (found !== null) return found;
        await waker.wait(LOOK_MS, ctx.signal);
      }
    } finally {
      watched.abort();
      await watching;
    }
  },
  async plan(ctx): Promise<Json> {
    const key = await (await ctx.use("dcs")).leader();
    const death = key && (await (await ctx.use("nodes")).death(key.holder));
    return { leader: key?.holder ?? null, death: death && { ...death } };
  },
});

interface World {
  ctx: StepContext;
  nodes: Nodes;
  fence: boolean;
  /** What was told last, so that it is told once. */
  said: string;
  /** How often in a row the leader's Patroni gave no answer. */
  unanswered: number;
}

/** @throws PgdbaError lock_held when another run guards the cluster */
async function alone(ctx: StepContext): Promise<void> {
  await ctx.resource("failover.guard", async () => {
    const nodes = await ctx.use("nodes");
    const lease = await nodes.lease(`run ${ctx.run.id}`, "guard");
    if (!("heldBy" in lease)) return { value: lease, close: () => lease.release() };
    throw new PgdbaError("lock_held", `${ctx.target.name} is guarded already, by ${lease.heldBy}`, {
      hint: "One guard is enough; stop that one first if this one is to take its place.",
      nothingDone: true,
    });
  });
}

/** Events wake the look; without them it looks once a second. */
async function follow(nodes: Nodes, waker: Waker, signal: AbortSignal): Promise<void> {
  if (!(await nodes.can()).watch.can) return;
  while (!signal.aborted) {
    await nodes.watch(() => waker.wake(), signal).catch(() => {});
    await sleep(LOOK_MS, signal).catch(() => {});
  }
}

async function look(world: World): Promise<Found | null> {
  const { ctx, nodes } = world;
  try {
    const dcs = await ctx.use("dcs");
    const key = await dcs.leader();
    if (key === null) return null;
    const death = await nodes.death(key.holder);
    if (!death.proven && !(world.fence && (await isUnanswered(world, key)))) return null;
    const { paused, times } = await settings(dcs);
    if (paused) return tell(world, `${key.holder} leads no more, but the cluster is paused`);
    const remover = await nodes.leased(REMOVAL);
    if (remover !== null)
      return tell(
        world,
        `${ctx.target.name} is being removed or stopped on purpose, by ${remover}`,
      );
    if (death.proven) return found(key, true, death.how);
    const why = silence({ ttlSeconds: key.ttlSeconds, unanswered: world.unanswered }, times);
    return why === null ? null : found(key, false, why);
  } catch (error) {
    ctx.signal.throwIfAborted();
    await assertThere(world);
    return tell(world, `The leader can't be looked at: ${toPgdbaError(error).message}`);
  }
}

/** A cluster that somebody has destroyed is guarded no more. @throws PgdbaError no_target */
async function assertThere({ ctx, nodes }: World): Promise<void> {
  const left = await nodes.list().catch(() => null);
  if (left === null || left.length > 0) return;
  throw new PgdbaError("no_target", `${ctx.target.name} has no nodes any more`, {
    hint: "It was removed while it was guarded; there is nothing to guard.",
  });
}

function found(key: LeaderKey, proven: boolean, how: string): Found {
  return { node: key.holder, proven, how, ttl_seconds: key.ttlSeconds };
}

function tell(world: World, message: string): null {
  if (world.said !== message) world.ctx.log(message, "warn");
  world.said = message;
  return null;
}

/** Counts the times in a row that the holder of the key did not answer. */
async function isUnanswered(world: World, key: LeaderKey): Promise<boolean> {
  const { ctx } = world;
  const patroni = await ctx.use("patroni");
  const api = (await patroni.members(ctx.signal)).find(({ name }) => name === key.holder)?.api;
  const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(ANSWER_MS)]);
  const answers =
    api !== undefined &&
    (await patroni.status(api, signal).then(
      () => true,
      () => false,
    ));
  ctx.signal.throwIfAborted();
  world.unanswered = answers ? 0 : world.unanswered + 1;
  return !answers;
}

/** From the store itself: no member has to be asked. */
async function settings(dcs: DcsAccess): Promise<{ paused: boolean; times: Times }> {
  const keys = await dcs.save();
  const text = Object.entries(keys).find(([key]) => key === "config" || key.endsWith("/config"));
  const config = JSON.parse(text?.[1] ?? "{}") as JsonObject;
  const seconds = (name: string, otherwise: number): number => Number(config[name] ?? otherwise);
  return {
    paused: config["pause"] === true,
    times: { ttl: seconds("ttl", 30), loopWait: seconds("loop_wait", 10) },
  };
}
