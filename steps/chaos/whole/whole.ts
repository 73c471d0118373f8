import type { JsonObject, StepContext } from "../../../engine/types.ts";
import { membersOf, type Seen, serversOf } from "./servers.ts";

/** A cluster that can lose any one of its parts. */
export interface Whole {
  leader: string | null;
  timeline: number | null;
  standbys: string[];
  synchronous: string[];
  /** All that it lacks, in a few words each; empty when it is whole. */
  missing: string[];
}

/** Asks every server, and whatever stands beside them, at once. */
export async function wholeNow(ctx: StepContext): Promise<Whole> {
  const members = await membersOf(ctx);
  const { capabilities } = await ctx.target.facts();
  const has = (word: string): boolean => capabilities.includes(word);
  const [servers, nodes, dcs, settings] = await Promise.all([
    serversOf(ctx, members),
    has("nodes") ? nodesMissing(ctx) : [],
    has("dcs") ? dcsMissing(ctx) : [],
    has("patroni") ? settingsOf(ctx) : {},
  ]);
  const judged = judge(servers, settings);
  return { ...judged, missing: [...judged.missing, ...nodes, ...dcs] };
}

/** Pure: by what the servers say, and what Patroni is set to. */
export function judge(servers: readonly Seen[], settings: JsonObject | string): Whole {
  const silent = servers.filter(({ server }) => server === null);
  const leaders = servers.filter(({ server }) => server?.standby === false);
  const [first] = leaders;
  const standbys = servers.filter(({ server }) => server?.standby === true);
  const leader = leaders.length === 1 ? first! : null;
  const wrong = leader === null ? [] : standbys.flatMap((one) => wrongWith(one, leader));
  const synchronous = leader?.server?.synchronous ?? [];
  return {
    leader: leader?.member ?? null,
    timeline: leader?.server?.timeline ?? null,
    standbys: standbys.map(({ member }) => member),
    synchronous,
    missing: [
      ...silent.map(({ member, why }) => `${member} does not answer: ${why}`),
      ...(leaders.length === 0 ? ["no server is out of recovery"] : []),
      ...(leaders.length > 1
        ? [`${leaders.map(({ member }) => member).join(" and ")} are all out of recovery`]
        : []),
      ...wrong,
      ...(typeof settings === "string"
        ? [settings]
        : settingsMissing(settings, synchronous.length, standbys.length)),
    ],
  };
}

function wrongWith({ member, server }: Seen, leader: Seen): string[] {
  const { timeline, receiver, paused } = server!;
  const { timeline: now, senders } = leader.server!;
  if (receiver !== "streaming") return [`${member} does not stream`];
  if (timeline !== now) return [`${member} is on timeline ${timeline}, the leader on ${now}`];
  if (!senders.includes(member)) return [`${leader.member} does not stream to ${member}`];
  return paused ? [`replay is paused on ${member}`] : [];
}

function settingsMissing(settings: JsonObject, synchronous: number, standbys: number): string[] {
  const { synchronous_mode: mode, synchronous_node_count: count = 1, pause } = settings;
  const isSync = mode === true || mode === "on" || mode === "quorum";
  const wanted = isSync ? Math.min(Number(count), Math.max(1, standbys)) : 0;
  return [
    ...(pause === true ? ["Patroni is paused"] : []),
    ...(synchronous < wanted ? [`${synchronous} of ${wanted} synchronous standbys are there`] : []),
  ];
}

async function nodesMissing(ctx: StepContext): Promise<string[]> {
  const all = await (await ctx.use("nodes")).list();
  return all
    .filter(({ state }) => state.running !== "running")
    .map(({ node, state }) => `the node ${node} is ${state.running}`);
}

async function dcsMissing(ctx: StepContext): Promise<string[]> {
  const { quorum, members, alarms } = await (await ctx.use("dcs")).health();
  return [
    ...(quorum ? [] : ["the store of Patroni's state has no quorum"]),
    ...members.filter(({ reachable }) => !reachable).map(({ name }) => `${name} does not answer`),
    ...alarms.map((alarm) => `the store raises ${alarm}`),
  ];
}

async function settingsOf(ctx: StepContext): Promise<JsonObject | string> {
  try {
    return await (await ctx.use("patroni")).config(ctx.signal);
  } catch {
    ctx.signal.throwIfAborted();
    return "Patroni does not answer";
  }
}
