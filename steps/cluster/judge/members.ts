import { parseLsn } from "../../../engine/shared/units.ts";
import type { Gathered, MemberSeen } from "../gather/cluster.ts";
import type { ServerNow } from "../gather/server.ts";

export const ROLES = [
  "leader",
  "standby_leader",
  "sync_standby",
  "quorum_standby",
  "replica",
  "unfenced",
  "unknown",
] as const;
export type MemberRole = (typeof ROLES)[number];

/** Who holds the leader key, and by whose word. */
export interface Holder {
  name: string | null;
  /** `dcs`: the store of this moment. `member`: its own Patroni. `patroni`: what a member last read, up to one loop old. `sql`: who takes writes. */
  by: "dcs" | "member" | "patroni" | "sql" | "nobody";
}

export interface MemberNow {
  name: string;
  role: MemberRole;
  /** `running`, `streaming`, …; in the words of Patroni or of the place of its node while its server does not answer. */
  state: string;
  place: string | null;
  timeline: number | null;
  /** Of a primary the end of its WAL, of a standby what it has replayed. */
  lsn: string | null;
  receive_lag_bytes: number | null;
  replay_lag_bytes: number | null;
  replay_lag_ms: number | null;
  streams_from: string | null;
  replay_paused: boolean;
  pending_restart: string[];
  connections: number | null;
  max_connections: number | null;
  version: string | null;
  tags: Record<string, string | number | boolean>;
  watchdog_failed: boolean;
  sql: boolean;
  api: boolean | null;
  /** Why its server does not answer. */
  why: string | null;
}

export function holderOf(g: Gathered): Holder {
  if (g.dcs !== null && g.dcs.leader.code === null)
    return { name: g.dcs.leader.value?.holder ?? null, by: "dcs" };
  const leads = g.members.filter(({ api }) => api?.leads === true);
  if (leads.length === 1) return { name: leads[0]!.name, by: "member" };
  const told = g.patroni?.value?.leader ?? null;
  // One that says of itself that it does not lead knows better than what others have read.
  const denies = g.members.find(({ name }) => name === told)?.api?.leads === false;
  if (g.patroni?.value) return { name: denies ? null : told, by: denies ? "member" : "patroni" };
  const writable = g.members.filter(({ server }) => server.value?.standby === false);
  // While Patroni is silent nobody knows which of several has the key; without any the one that was promoted last counts.
  if (g.patroni !== null && writable.length > 1) return { name: null, by: "nobody" };
  const latest = Math.max(...writable.map(({ server }) => server.value?.timeline ?? 0));
  const first = writable.filter(({ server }) => (server.value?.timeline ?? 0) === latest);
  return first.length === 1 ? { name: first[0]!.name, by: "sql" } : { name: null, by: "nobody" };
}

export function membersNow(g: Gathered, holder: Holder): MemberNow[] {
  const leader = g.members.find(({ name }) => name === holder.name)?.server.value ?? null;
  return g.members.map((member) => memberNow(g, member, holder, leader));
}

function memberNow(
  g: Gathered,
  { name, reach, server, api }: MemberSeen,
  holder: Holder,
  leader: ServerNow | null,
): MemberNow {
  const now = server.value;
  const status = api?.status.value ?? null;
  const told = g.patroni?.value?.members.find((one) => one.name === name);
  const from = g.members.find(({ server: one }) =>
    one.value?.streams.some((stream) => stream.name === name && stream.state !== "backup"),
  );
  const stream = from?.server.value?.streams.find((one) => one.name === name);
  return {
    name,
    role: roleOf(g, name, holder, { now, streamed: stream?.sync_state }),
    state: stateOf(g, name),
    place: reach === null ? null : `${reach.host}:${reach.port}`,
    timeline: now?.timeline ?? status?.timeline ?? told?.timeline ?? null,
    lsn: now === null ? null : now.standby ? now.replay_lsn : now.lsn,
    receive_lag_bytes: now?.standby ? behind(leader?.lsn, now.receive_lsn ?? now.replay_lsn) : null,
    replay_lag_bytes: now?.standby ? behind(leader?.lsn, now.replay_lsn) : null,
    replay_lag_ms: now?.standby ? (stream?.replay_lag_ms ?? null) : null,
    streams_from: from?.name ?? null,
    replay_paused: now?.replay_paused ?? false,
    pending_restart: now?.pending_restart ?? Object.keys(told?.pending_restart_reason ?? {}),
    connections: now?.connections ?? null,
    max_connections: now?.max_connections ?? null,
    version: now?.version ?? null,
    tags: (told?.tags ?? status?.tags ?? {}) as MemberNow["tags"],
    watchdog_failed: status?.watchdog_failed ?? false,
    sql: now !== null,
    api: api === null ? (g.patroni === null ? null : false) : status !== null,
    why: server.why,
  };
}

function roleOf(
  g: Gathered,
  name: string,
  holder: Holder,
  { now, streamed }: { now: ServerNow | null; streamed: string | undefined },
): MemberRole {
  const told = g.patroni?.value?.members.find((one) => one.name === name)?.role;
  const status = g.members.find((one) => one.name === name)?.api?.status.value ?? null;
  const writes = now === null ? status?.role === "primary" : !now.standby;
  if (holder.name === name)
    return !writes && (told === "standby_leader" || status?.role === "standby_leader")
      ? "standby_leader"
      : "leader";
  // It takes writes, and nobody has given it the right to.
  if (writes) return "unfenced";
  if (streamed === "sync" || (streamed === undefined && told === "sync_standby"))
    return "sync_standby";
  if (streamed === "quorum" || (streamed === undefined && told === "quorum_standby"))
    return "quorum_standby";
  if (now !== null || told !== undefined) return "replica";
  return "unknown";
}

function stateOf(g: Gathered, name: string): string {
  const member = g.members.find((one) => one.name === name);
  const now = member?.server.value;
  if (now != null)
    return now.standby ? (now.receiver ?? "in recovery, receives no WAL") : "running";
  const node = g.nodes?.value?.find((one) => one.node === name)?.state.running;
  if (node !== undefined && node !== "running" && node !== "unknown") return node;
  const said =
    member?.api?.status.value?.state ??
    g.patroni?.value?.members.find((one) => one.name === name)?.state;
  // What runs by the word of others, and does not answer us, is out of our reach.
  return said === undefined || ["running", "streaming"].includes(said) ? "unreachable" : said;
}

/** The bytes by which a position is behind another; 0 when it is ahead, for they were not read in the same moment. */
export function behind(
  of: string | null | undefined,
  position: string | null | undefined,
): number | null {
  if (of == null || position == null) return null;
  const bytes = Number(parseLsn(of) - parseLsn(position));
  return Math.max(0, bytes);
}
