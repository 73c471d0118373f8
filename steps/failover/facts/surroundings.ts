import { sleep } from "../../../engine/shared/sleep.ts";
import { parseLsn } from "../../../engine/shared/units.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { DcsAccess } from "../../../providers/dcs/contract.ts";
import type { DcsFacts, DiskFacts, PoolerFacts, Seen } from "./facts.ts";
import { seen } from "./server-facts.ts";

/** The store of Patroni's state, where the entry names it. */
export async function dcsFacts(ctx: StepContext, known: boolean): Promise<Seen<DcsFacts>> {
  if (!known) return { unseen: "the cluster's entry names no store (dcs)" };
  return seen(async () => {
    const dcs = await ctx.use("dcs");
    const health = await dcs.health();
    const key = health.quorum ? await dcs.leader() : null;
    return {
      quorum: health.quorum,
      reachable: health.members.filter(({ reachable }) => reachable).length,
      members: health.members.length,
      alarms: health.alarms,
      holder: key?.holder ?? null,
      ttlSeconds: key?.ttlSeconds ?? null,
      optime: health.quorum ? await optimeOf(dcs) : null,
    };
  });
}

/** Patroni's leader writes how far its WAL went into `status`. */
async function optimeOf(dcs: DcsAccess): Promise<bigint | null> {
  const keys = await dcs.save();
  const [, status] = Object.entries(keys).find(([key]) => /(^|\/)status$/.test(key)) ?? [];
  const { optime } = (status === undefined ? {} : JSON.parse(status)) as { optime?: unknown };
  if (typeof optime === "number" && Number.isSafeInteger(optime)) return BigInt(optime);
  if (typeof optime !== "string") return null;
  return /^\d+$/.test(optime) ? BigInt(optime) : parseLsn(optime);
}

/** A follower learns of a new member within five seconds. */
const LEARNT_MS = 7_000;
const AGAIN_MS = 500;

/** Who owns route and pause of each PgBouncer, and what he sees; `members` that have just come are waited for. */
export async function poolerFacts(
  ctx: StepContext,
  known: boolean,
  members: readonly string[],
): Promise<PoolerFacts[]> {
  if (!known) return [];
  const pgbouncer = await ctx.use("pgbouncer");
  return Promise.all(
    pgbouncer.instances.map(async ({ name }) => ({
      name,
      follower: await seen(async () => {
        const ends = performance.now() + LEARNT_MS;
        for (;;) {
          const state = await pgbouncer.follower(name);
          if (state === null) return null;
          const told = state.members.map((member) => member.name);
          const isWhole = told.length === 0 || members.every((member) => told.includes(member));
          if (!isWhole && performance.now() < ends) {
            await sleep(AGAIN_MS, ctx.signal);
            continue;
          }
          const { route, paused } = state;
          return { route: route?.member ?? null, paused: paused?.holder ?? null, members: told };
        }
      }),
    })),
  );
}

/** The free space of each member as seen from inside its node. A member's node has its name. */
export async function diskFacts(
  ctx: StepContext,
  known: boolean,
  members: readonly string[],
): Promise<Record<string, Seen<DiskFacts[]>>> {
  const look = async (name: string): Promise<Seen<DiskFacts[]>> => {
    if (!known) return { unseen: "the cluster's entry names no provider of its hosts" };
    return seen(async () => {
      const nodes = await ctx.use("nodes");
      const { disks } = await nodes.facts(name);
      return disks
        .filter((disk) => disk.of === "data" || disk.of === "wal")
        .map(({ of, path, freeBytes }) => ({ of, path, freeBytes }));
    });
  };
  const found = await Promise.all(members.map(look));
  return Object.fromEntries(members.map((name, index) => [name, found[index]!]));
}
