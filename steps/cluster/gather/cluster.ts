import { basename, dirname } from "node:path";
import type { StepContext } from "../../../engine/types.ts";
import type { DcsHealth, LeaderKey } from "../../../providers/dcs/contract.ts";
import type { Armed, Facts, NodeInfo } from "../../../providers/nodes/contract.ts";
import type { PatroniCluster } from "../../../providers/patroni/members.ts";
import type { PatroniStatus } from "../../../providers/patroni/status.ts";
import type { FollowerState } from "../../../providers/pgbouncer/contract.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { type Answer, answerOf, type ServerNow, serverNow } from "./server.ts";

/** Everything that was asked, each answer as it came; what the cluster does not have is null. */
export interface Gathered {
  cluster: string;
  /** Null where none runs it. */
  patroni: Answer<PatroniCluster> | null;
  config: Answer<JsonObject> | null;
  members: MemberSeen[];
  /** Members that Patroni still lists, though their nodes were removed: it forgets them when their keys have run out. */
  removed: string[];
  dcs: { health: Answer<DcsHealth>; leader: Answer<LeaderKey | null> } | null;
  pgbouncers: PoolerSeen[];
  /** Why those in front of the cluster can't be asked. */
  pgbouncerWhy: string | null;
  nodes: Answer<NodeInfo[]> | null;
  /** The holder of the guard's lease; null as a whole where nobody has power over the nodes. */
  guard: Answer<string | null> | null;
  /** The faults that are armed, or were left over; null where nothing can be armed. */
  faults: Answer<Armed[]> | null;
}

export interface MemberSeen {
  name: string;
  /** Where its PostgreSQL is reached from here. */
  reach: { host: string; port: number } | null;
  server: Answer<ServerNow>;
  /** Its own Patroni. */
  api: { url: string; status: Answer<PatroniStatus>; leads: boolean | null } | null;
  facts: Answer<Facts> | null;
  /** Folders beside its data that a restore has left there, or works in. */
  beside?: Answer<string[]> | null;
}

export interface PoolerSeen {
  name: string;
  place: string;
  pools: Answer<Record<string, unknown>[]>;
  /** Whether it is paused, as it says itself from 1.19 on. */
  state: Answer<Record<string, unknown>[]>;
  /** Null where none is named. */
  follower: Answer<FollowerState | null>;
}

/** How long a place is given to answer, ms. One that hangs must not keep the others from being shown. */
const LIMIT_MS = 3_000;

/** Asks all that may know something, at once. */
export async function gather(ctx: StepContext): Promise<Gathered> {
  const ask: Ask = (work) => answerOf(work(), LIMIT_MS, ctx.signal);
  const [patroni, nodes, guard, faults, dcs, poolers, known] = await Promise.all([
    part(ask(async () => (await ctx.use("patroni")).cluster(ctx.signal))),
    part(ask(async () => (await ctx.use("nodes")).list())),
    part(ask(async () => (await ctx.use("nodes")).leased("guard"))),
    part(ask(async () => (await ctx.use("nodes")).armed())),
    dcsSeen(ctx, ask),
    poolersSeen(ctx, ask),
    ask(async () => (await ctx.use("member")).list()),
  ]);
  const names = namesOf(known.value ?? [], patroni, nodes);
  const [seen, config] = await Promise.all([
    Promise.all(names.map((name) => memberSeen(ctx, name, { patroni, nodes, ask }))),
    patroni?.value ? ask(async () => (await ctx.use("patroni")).config(ctx.signal)) : null,
  ]);
  const cluster = ctx.target.cluster ?? ctx.target.name;
  // Of a cluster that pgdba made, the registry knows all nodes: one that neither it nor their place knows, and that is silent, was removed.
  const registered = known.value === null ? [] : (await ctx.use("member")).registered();
  const isRemoved = ({ name, server, api }: MemberSeen): boolean =>
    ctx.target.ownership === "managed" &&
    nodes?.value != null &&
    !nodes.value.some(({ node }) => node === name) &&
    !registered.includes(name) &&
    server.value === null &&
    (api === null || api.status.value === null);
  const removed = seen.filter(isRemoved).map(({ name }) => name);
  const members = seen.filter((one) => !isRemoved(one));
  return { cluster, patroni, config, members, removed, dcs, ...poolers, nodes, guard, faults };
}

/** Null where the cluster does not have it at all. */
async function part<T>(answer: Promise<Answer<T>>): Promise<Answer<T> | null> {
  const found = await answer;
  return found.code === "capability_missing" || found.code === "unsupported" ? null : found;
}

type Ask = <T>(work: () => Promise<T>) => Promise<Answer<T>>;

/** All members that Patroni, the registry or the provider of the nodes knows. */
function namesOf(
  known: readonly string[],
  patroni: Gathered["patroni"],
  nodes: Gathered["nodes"],
): string[] {
  const there = (nodes?.value ?? []).filter(({ roles }) => roles.includes("postgres"));
  const told = patroni?.value?.members ?? [];
  const names = [...told.map(({ name }) => name), ...known, ...there.map(({ node }) => node)];
  return [...new Set(names)].toSorted();
}

async function memberSeen(
  ctx: StepContext,
  name: string,
  { patroni, nodes, ask }: Pick<Gathered, "patroni" | "nodes"> & { ask: Ask },
): Promise<MemberSeen> {
  const told = patroni?.value?.members.find((one) => one.name === name);
  const node = nodes?.value?.find((one) => one.node === name);
  const [reach, server, api, facts] = await Promise.all([
    ask(async () => (await ctx.use("member")).place(name)),
    ask(() => askServer(ctx, name)),
    told === undefined || told.api === "" ? null : apiSeen(ctx, told.api, ask),
    node === undefined ? null : ask(async () => (await ctx.use("nodes")).facts(name)),
  ]);
  const data = facts?.value?.postgres?.data;
  const beside = data === undefined ? null : await ask(() => besideData(ctx, name, data));
  return {
    name,
    reach: reach.value ?? node?.reach ?? null,
    server,
    api,
    facts,
    beside,
  };
}

async function besideData(ctx: StepContext, node: string, data: string): Promise<string[]> {
  const nodes = await ctx.use("nodes");
  const argv = ["find", dirname(data), "-maxdepth", "1", "-type", "d", "-name"];
  const { stdout } = await nodes.exec(node, [...argv, `${basename(data)}.before-*`]);
  return stdout.split("\n").filter((line) => line !== "");
}

async function askServer(ctx: StepContext, name: string): Promise<ServerNow> {
  const session = await (await ctx.use("member")).open(name);
  try {
    return await serverNow(session);
  } finally {
    await session.close();
  }
}

/** Its state, and whether it holds the leader key as it says itself: newer than what the others have read. */
async function apiSeen(ctx: StepContext, url: string, ask: Ask): Promise<MemberSeen["api"]> {
  const client = await ctx.use("patroni");
  const [status, leads] = await Promise.all([
    ask(() => client.status(url, ctx.signal)),
    ask(() => client.check(url, "leader", ctx.signal)),
  ]);
  return { url, status, leads: leads.value };
}

async function dcsSeen(ctx: StepContext, ask: Ask): Promise<Gathered["dcs"]> {
  const [health, leader] = await Promise.all([
    part(ask(async () => (await ctx.use("dcs")).health())),
    ask(async () => (await ctx.use("dcs")).leader()),
  ]);
  return health === null ? null : { health, leader };
}

async function poolersSeen(
  ctx: StepContext,
  ask: Ask,
): Promise<Pick<Gathered, "pgbouncers" | "pgbouncerWhy">> {
  const access = await part(ask(() => ctx.use("pgbouncer")));
  if (access?.value == null) return { pgbouncers: [], pgbouncerWhy: access?.why ?? null };
  const { value } = access;
  const pgbouncers = await Promise.all(
    value.instances.map(async ({ name, host, port }) => {
      const [pools, state, follower] = await Promise.all([
        ask(() => value.show(name, "POOLS")),
        ask(() => value.show(name, "STATE")),
        ask(() => value.follower(name)),
      ]);
      return { name, place: `${host}:${port}`, pools, state, follower };
    }),
  );
  return { pgbouncers, pgbouncerWhy: null };
}
