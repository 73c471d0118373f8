import { isMapping, type JsonObject } from "../../engine/types.ts";

/** A member as the store has it: up to one loop old. */
export interface PatroniMember {
  name: string;
  /** As Patroni calls it: `leader`, `replica`, `sync_standby`, `quorum_standby`, `standby_leader`, … */
  role: string;
  /** `running`, `streaming`, `in archive recovery`, `stopped`, `start failed`, `creating replica`, … */
  state: string;
  /** Base URL of its own REST API, where pgdba reaches it. */
  api: string;
  /** Where other members reach its PostgreSQL. */
  host: string;
  port: number;
  /** Null where it does not tell. */
  timeline: number | null;
  /** Bytes behind what the leader last told; null for the leader itself. */
  lag: Lag;
  /** Positions as text, where Patroni tells them (from 4.1 on). */
  receive_lsn: string | null;
  replay_lsn: string | null;
  receive_lag: Lag;
  replay_lag: Lag;
  tags: JsonObject;
  pending_restart: boolean;
  /** Each setting with its old and new value (from 3.3 on). */
  pending_restart_reason: JsonObject;
  /** Its time, and what it depends on. */
  scheduled_restart: JsonObject | null;
}

export type Lag = number | "unknown" | null;

export interface PatroniCluster {
  /** Ordered by name. */
  members: PatroniMember[];
  /** The member that holds the leader key; null while nobody does. */
  leader: string | null;
  pause: boolean;
  scheduled_switchover: ScheduledSwitchover | null;
}

export interface ScheduledSwitchover {
  at: string;
  from: string | null;
  to: string | null;
}

const LEADERS: readonly string[] = ["leader", "standby_leader", "primary", "master"];

/** True for the leader, also for that of a standby cluster, which is a standby itself. */
export function isLeader({ role }: Pick<PatroniMember, "role">): boolean {
  return LEADERS.includes(role);
}

/** The leader, when there is exactly one. */
export function leaderOf(members: readonly PatroniMember[]): PatroniMember | undefined {
  const leaders = members.filter(isLeader);
  return leaders.length === 1 ? leaders[0] : undefined;
}

/** True when PostgreSQL runs there. `state` is that of a member, or of its own status. */
export function isUp({ state }: { state?: unknown }): boolean {
  return state === "running" || state === "streaming" || state === "in archive recovery";
}

/** The answer of `/cluster`; `reach` tells where the API of a member is reached from here. */
export function clusterIn(
  answer: JsonObject,
  reach: Readonly<Record<string, string>> = {},
): PatroniCluster {
  const { members: list, pause, scheduled_switchover } = answer;
  const members = (Array.isArray(list) ? list : [])
    .map((one) => memberOf(object(one), reach))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    members,
    leader: leaderOf(members)?.name ?? null,
    pause: pause === true,
    scheduled_switchover: scheduledIn(object(scheduled_switchover)),
  };
}

function scheduledIn({ at, from, to }: JsonObject): ScheduledSwitchover | null {
  return typeof at === "string" ? { at, from: textOrNull(from), to: textOrNull(to) } : null;
}

function memberOf(member: JsonObject, reach: Readonly<Record<string, string>>): PatroniMember {
  const text = (key: string): string => textOrNull(member[key]) ?? "";
  const name = text("name");
  const port = Number(member["port"]);
  const scheduled = object(member["scheduled_restart"]);
  return {
    name,
    role: text("role"),
    state: text("state"),
    api: reach[name] ?? text("api_url").replace(/\/patroni$/, ""),
    host: text("host"),
    port: Number.isInteger(port) ? port : 5432,
    timeline: numberOrNull(member["timeline"]),
    lag: lagOf(member["lag"]),
    receive_lsn: positionOf(member["receive_lsn"]),
    replay_lsn: positionOf(member["replay_lsn"]),
    receive_lag: lagOf(member["receive_lag"]),
    replay_lag: lagOf(member["replay_lag"]),
    tags: object(member["tags"]),
    pending_restart: member["pending_restart"] === true,
    pending_restart_reason: object(member["pending_restart_reason"]),
    scheduled_restart: Object.keys(scheduled).length === 0 ? null : scheduled,
  };
}

function lagOf(value: unknown): Lag {
  return value === "unknown" ? "unknown" : numberOrNull(value);
}

/** Patroni writes `unknown` where a member tells none. */
function positionOf(value: unknown): string | null {
  return value === "unknown" ? null : textOrNull(value);
}

export function object(value: unknown): JsonObject {
  return isMapping(value) ? value : {};
}

export function textOrNull(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function numberOrNull(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
