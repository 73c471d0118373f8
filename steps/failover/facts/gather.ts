import type { StepContext } from "../../../engine/types.ts";
import type { PatroniClient } from "../../../providers/patroni/client.ts";
import { isLeader, type PatroniMember } from "../../../providers/patroni/members.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type {} from "../../../providers/target/access.ts";
import { diskFacts, dcsFacts, poolerFacts } from "./surroundings.ts";
import type { Facts, Lsns, MemberFacts, Seen } from "./facts.ts";
import { clusterFactsOf, patroniFactsOf } from "./patroni-facts.ts";
import { lsnsOf, map, seen, serverFacts } from "./server-facts.ts";

/** How long one party is given to answer, and one statement, ms. */
const PARTY_MS = 3_000;
const STATEMENT_MS = 2_000;
/** The time between the two readings that tell a trend, ms. */
const BETWEEN_MS = 400;

/** Asks everybody at once. A party that does not answer is unseen; only without Patroni there is nothing to go by. */
export async function gather(ctx: StepContext): Promise<Facts> {
  const { capabilities } = await ctx.target.facts();
  const client = await ctx.use("patroni");
  const cluster = await client.cluster(ctx.signal);
  const config = await client.config(ctx.signal);
  const history = await client.history(ctx.signal).catch(() => []);
  const listed = cluster.members;
  const lastLeader = history.at(-1)?.leader ?? null;
  const known = [
    ...(await (await ctx.use("member")).list()),
    ...(lastLeader === null ? [] : [lastLeader]),
  ];
  const gone = [...new Set(known)].filter((name) => !listed.some((one) => one.name === name));
  const at = (word: string) => capabilities.includes(word);
  const [members, dcs, poolers, disks] = await Promise.all([
    membersFacts(ctx, client, [...listed, ...gone.map(asGone)]),
    dcsFacts(ctx, at("dcs")),
    poolerFacts(
      ctx,
      at("pgbouncer"),
      listed.filter(({ api }) => api).map(({ name }) => name),
    ),
    diskFacts(ctx, at("nodes"), [...listed.map(({ name }) => name), ...gone]),
  ]);
  return {
    leaders: listed.filter(isLeader).map(({ name }) => name),
    patroni: clusterFactsOf(config, cluster, history),
    members: members.map((member) => ({
      ...member,
      disk: disks[member.name] ?? { unseen: "nobody was asked" },
    })),
    dcs,
    poolers,
  };
}

/** A member whose key in the store has expired, or that has never come up. */
function asGone(name: string): Asked {
  return { name, role: "gone", state: "gone", api: null };
}

type Asked = Pick<PatroniMember, "name" | "role" | "state"> & { api: string | null };

type Told = Omit<MemberFacts, "disk">;

async function membersFacts(
  ctx: StepContext,
  client: PatroniClient,
  members: Asked[],
): Promise<Told[]> {
  const sessions = new Map<string, PgSession>();
  const within = () => AbortSignal.any([ctx.signal, AbortSignal.timeout(PARTY_MS)]);
  const asking = (pg: PgSession) => ({ pg, timeoutMs: STATEMENT_MS, signal: within() });
  try {
    const told = await Promise.all(
      members.map(async ({ name, api }) => {
        const server = await seen(async () => {
          const pg = await open(ctx, name);
          sessions.set(name, pg);
          return serverFacts(asking(pg));
        });
        const status =
          api === null
            ? { unseen: "it is no member of Patroni's now" }
            : await seen(() => client.status(api, within()));
        return { server, status };
      }),
    );
    ctx.signal.throwIfAborted();
    const first = await readAll(sessions, asking);
    await ctx.clock.sleep(BETWEEN_MS, ctx.signal);
    const second = await readAll(sessions, asking);
    return members.map(({ name, role, state }, index) => {
      const { server, status } = told[index]!;
      const clock = "value" in server ? server.value.clock : null;
      return {
        name,
        role,
        state,
        server,
        patroni: map(status, (said) => patroniFactsOf(said, clock)),
        lsns: both(first.get(name), second.get(name), server),
      };
    });
  } finally {
    await Promise.all([...sessions.values()].map((pg) => pg.close().catch(() => {})));
  }
}

async function open(ctx: StepContext, member: string): Promise<PgSession> {
  return (await ctx.use("member")).open(member, undefined, { timeoutMs: PARTY_MS });
}

/** Standbys before the primary, so that a lag is told as more than it is, never as less. */
async function readAll(
  sessions: ReadonlyMap<string, PgSession>,
  asking: (pg: PgSession) => { pg: PgSession; timeoutMs: number; signal: AbortSignal },
): Promise<Map<string, Seen<Lsns>>> {
  const found = new Map<string, Seen<Lsns>>();
  for (const standbys of [true, false]) {
    const these = [...sessions].filter(([, pg]) => pg.info.standby === standbys);
    const read = await Promise.all(these.map(([, pg]) => seen(() => lsnsOf(asking(pg)))));
    these.forEach(([name], index) => found.set(name, read[index]!));
  }
  return found;
}

function both(
  first: Seen<Lsns> | undefined,
  second: Seen<Lsns> | undefined,
  server: Seen<unknown>,
): Seen<[Lsns, Lsns]> {
  if (first === undefined || second === undefined)
    return { unseen: "unseen" in server ? server.unseen : "it was not asked" };
  if ("unseen" in first) return first;
  return map(second, (last): [Lsns, Lsns] => [first.value, last]);
}
