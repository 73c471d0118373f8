import type { JsonObject } from "../../engine/types.ts";

export interface PatroniMember {
  name: string;
  /** As Patroni calls it: `leader`, `replica`, `sync_standby`, `standby_leader`, … */
  role: string;
  /** `running`, `streaming`, `stopped`, `start failed`, … */
  state: string;
  /** Base URL of its own REST API. */
  api: string;
  host: string;
  port: number;
}

/** True for the leader, also for that of a standby cluster, which is a standby itself. */
export function isLeader({ role }: Pick<PatroniMember, "role">): boolean {
  return role === "leader" || role === "standby_leader";
}

/** The leader, when there is exactly one. */
export function leaderOf(members: readonly PatroniMember[]): PatroniMember | undefined {
  const leaders = members.filter(isLeader);
  return leaders.length === 1 ? leaders[0] : undefined;
}

/** True when PostgreSQL runs there. `state` is that of a member, or of its own status. */
export function isUp({ state }: { state?: unknown }): boolean {
  return state === "running" || state === "streaming";
}

/** The members in the answer of `/cluster`, ordered by name. */
export function membersIn({ members }: JsonObject): PatroniMember[] {
  return (Array.isArray(members) ? members : [])
    .map((member) => memberOf(member as JsonObject))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function memberOf(member: JsonObject): PatroniMember {
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const port = Number(member["port"]);
  return {
    name: text(member["name"]),
    role: text(member["role"]),
    state: text(member["state"]),
    api: text(member["api_url"]).replace(/\/[^/]*$/, ""),
    host: text(member["host"]),
    port: Number.isInteger(port) ? port : 5432,
  };
}
