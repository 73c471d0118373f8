import type { JsonObject } from "../../engine/types.ts";
import { numberOrNull, object, textOrNull } from "./members.ts";

/** What a member says of itself, now; what it does not tell is null, or false. */
export interface PatroniStatus {
  /** `running`, `starting`, `stopping`, `stopped`, `start failed`, `unknown`, … */
  state: string;
  /** `primary` when its PostgreSQL is out of recovery, whoever has the leader key; Patroni before 4.0 says `master` for it. */
  role: "primary" | "replica" | "standby_leader" | (string & {});
  timeline: number | null;
  /** As `server_version_num`. */
  server_version: number | null;
  postmaster_start_time: string | null;
  /** Positions in bytes; null where PostgreSQL could not be asked. */
  xlog: {
    /** A primary has this one only. */
    location: number | null;
    received_location: number | null;
    replayed_location: number | null;
    replayed_timestamp: string | null;
    paused: boolean;
  } | null;
  /** Those that stream from it; a base backup that is being taken is among them. */
  replication: {
    application_name: string;
    client_addr: string | null;
    state: string;
    sync_state: string;
  }[];
  /** Of a standby: `streaming` or `in archive recovery` (from 3.0 on). */
  replication_state: string | null;
  sync_standby: boolean;
  quorum_standby: boolean;
  pause: boolean;
  /** Nobody holds the leader key, as far as it knows. */
  cluster_unlocked: boolean;
  failsafe_mode_is_active: boolean;
  pending_restart: boolean;
  pending_restart_reason: JsonObject;
  scheduled_restart: JsonObject | null;
  watchdog_failed: boolean;
  /** When it last reached the store, by its own clock: seconds since 1970. */
  dcs_last_seen: number | null;
  tags: JsonObject;
  database_system_identifier: string | null;
  patroni: { version: string | null; scope: string | null; name: string | null };
}

export function statusIn(answer: JsonObject): PatroniStatus {
  const text = (key: string): string | null => textOrNull(answer[key]);
  const number = (key: string): number | null => numberOrNull(answer[key]);
  const flag = (key: string): boolean => answer[key] === true;
  const { version, scope, name } = object(answer["patroni"]);
  const role = text("role") ?? "";
  const scheduled = object(answer["scheduled_restart"]);
  return {
    state: text("state") ?? "",
    role: role === "master" ? "primary" : role,
    timeline: number("timeline"),
    server_version: number("server_version"),
    postmaster_start_time: text("postmaster_start_time"),
    xlog: xlogIn(answer["xlog"]),
    replication: replicationIn(answer["replication"]),
    replication_state: text("replication_state"),
    sync_standby: flag("sync_standby"),
    quorum_standby: flag("quorum_standby"),
    pause: flag("pause"),
    cluster_unlocked: flag("cluster_unlocked"),
    failsafe_mode_is_active: flag("failsafe_mode_is_active"),
    pending_restart: flag("pending_restart"),
    pending_restart_reason: object(answer["pending_restart_reason"]),
    scheduled_restart: Object.keys(scheduled).length === 0 ? null : scheduled,
    watchdog_failed: flag("watchdog_failed"),
    dcs_last_seen: number("dcs_last_seen"),
    tags: object(answer["tags"]),
    database_system_identifier: text("database_system_identifier"),
    patroni: {
      version: textOrNull(version),
      scope: textOrNull(scope),
      name: textOrNull(name),
    },
  };
}

function xlogIn(value: unknown): PatroniStatus["xlog"] {
  if (typeof value !== "object" || value === null) return null;
  const xlog = object(value);
  return {
    location: numberOrNull(xlog["location"]),
    received_location: numberOrNull(xlog["received_location"]),
    replayed_location: numberOrNull(xlog["replayed_location"]),
    replayed_timestamp: textOrNull(xlog["replayed_timestamp"]),
    paused: xlog["paused"] === true,
  };
}

function replicationIn(value: unknown): PatroniStatus["replication"] {
  return (Array.isArray(value) ? value : []).map((one) => {
    const { application_name, client_addr, state, sync_state } = object(one);
    return {
      application_name: textOrNull(application_name) ?? "",
      client_addr: textOrNull(client_addr),
      state: textOrNull(state) ?? "",
      sync_state: textOrNull(sync_state) ?? "",
    };
  });
}

/** The end of a timeline. */
export interface PatroniHistoryLine {
  /** The timeline that ended. */
  timeline: number;
  /** Where it ended, in bytes. */
  lsn: number;
  reason: string;
  /** When the next timeline began; null where Patroni was not there to see it. */
  at: string | null;
  /** The member that began the next one. */
  leader: string | null;
}

/** The answer of `/history`, oldest first. */
export function historyIn(answer: unknown): PatroniHistoryLine[] {
  return (Array.isArray(answer) ? answer : []).filter(Array.isArray).map((line) => ({
    timeline: Number(line[0]),
    lsn: Number(line[1]),
    reason: textOrNull(line[2]) ?? "",
    at: textOrNull(line[3]),
    leader: textOrNull(line[4]),
  }));
}
