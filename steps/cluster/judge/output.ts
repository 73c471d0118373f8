import type { JsonSchema } from "../../../engine/types.ts";
import { SEVERITIES } from "./finding.ts";
import { ROLES } from "./members.ts";

const TEXT = { type: ["string", "null"] } as const;
const COUNT = { type: ["integer", "null"] } as const;
const NUMBER = { type: ["number", "null"] } as const;
const YES = { type: ["boolean", "null"] } as const;

function closed<const P extends Record<string, JsonSchema>>(properties: P) {
  return {
    type: "object",
    additionalProperties: false,
    required: Object.keys(properties),
    properties,
  } as const;
}

/** How a cluster is. */
export const TOPOLOGY = {
  type: "object",
  additionalProperties: false,
  required: [
    "cluster",
    "summary",
    "topology",
    "leader",
    "leader_by",
    "timeline",
    "members",
    "findings",
    "patroni",
    "dcs",
    "pgbouncers",
    "slots",
    "disks",
    "certificates",
    "archive",
    "guard",
    "sources",
  ],
  properties: {
    cluster: { type: "string" },
    summary: closed({
      worst: { type: "string", enum: ["ok", ...[...SEVERITIES].toReversed(), "unknown"] },
      critical: { type: "integer" },
      warning: { type: "integer" },
      info: { type: "integer" },
      members: { type: "integer" },
      up: { type: "integer" },
    }),
    topology: { type: "string", description: "Drawn for a terminal" },
    leader: { ...TEXT, description: "Who holds the leader key" },
    leader_by: {
      type: "string",
      enum: ["dcs", "member", "patroni", "sql", "nobody"],
      description:
        "By whose word: the store of this moment, the leader's own Patroni, what a member last read (up to one loop old), or who takes writes",
    },
    timeline: { ...COUNT, description: "The leader's" },
    members: {
      type: "array",
      items: closed({
        name: { type: "string" },
        role: { type: "string", enum: ROLES },
        state: { type: "string" },
        place: { ...TEXT, description: "Where its PostgreSQL is reached from here" },
        timeline: COUNT,
        lsn: {
          ...TEXT,
          description: "Of a primary the end of its WAL, of a standby what it has replayed",
        },
        receive_lag_bytes: { ...COUNT, description: "WAL that it has not received, by SQL now" },
        replay_lag_bytes: { ...COUNT, description: "WAL that it has not replayed, by SQL now" },
        replay_lag_ms: NUMBER,
        streams_from: TEXT,
        replay_paused: { type: "boolean" },
        pending_restart: { type: "array", items: { type: "string" } },
        connections: COUNT,
        max_connections: COUNT,
        version: TEXT,
        tags: { type: "object" },
        watchdog_failed: { type: "boolean" },
        sql: { type: "boolean", description: "Its PostgreSQL answers" },
        api: { ...YES, description: "Its Patroni answers; null where none runs it" },
        why: { ...TEXT, description: "Why its PostgreSQL does not answer" },
      }),
    },
    findings: {
      type: "array",
      description: "The worst first",
      items: closed({
        check: { type: "string" },
        title: { type: "string" },
        severity: { type: "string", enum: SEVERITIES },
        object: TEXT,
        message: { type: "string" },
        remedy: closed({ text: { type: "string" } }),
      }),
    },
    patroni: {
      ...closed({
        version: TEXT,
        scope: TEXT,
        paused: YES,
        ttl: NUMBER,
        loop_wait: NUMBER,
        retry_timeout: NUMBER,
        maximum_lag_on_failover: NUMBER,
        synchronous_mode: TEXT,
        synchronous_mode_strict: { type: "boolean" },
        failsafe_mode: { type: "boolean" },
        failsafe_active: { type: "boolean" },
        scheduled_switchover: { type: ["object", "null"] },
      }),
      type: ["object", "null"],
      description: "Null where none runs the cluster",
    },
    dcs: {
      ...closed({
        quorum: { type: "boolean" },
        members: {
          type: "array",
          items: closed({
            name: { type: "string" },
            endpoint: TEXT,
            reachable: { type: "boolean" },
            why: TEXT,
            leader: { type: "boolean" },
            version: TEXT,
            db_bytes: COUNT,
          }),
        },
        alarms: { type: "array", items: { type: "string" } },
        leader_key: {
          ...closed({ holder: { type: "string" }, ttl_seconds: NUMBER }),
          type: ["object", "null"],
        },
      }),
      type: ["object", "null"],
      description: "Null where none is named, or it does not answer",
    },
    pgbouncers: {
      type: "array",
      items: closed({
        name: { type: "string" },
        place: { type: "string" },
        why: TEXT,
        route: { ...TEXT, description: "The member that clients are sent to" },
        paused: { ...TEXT, description: "Who holds clients back" },
        held_ms: {
          ...COUNT,
          description: "After this they go on by themselves; null where nothing ends the pause",
        },
        clients: { type: "integer" },
        waiting: { type: "integer" },
        max_wait_s: { type: "number" },
        servers: { type: "integer" },
        follower: { type: "boolean" },
        follower_why: TEXT,
        held: {
          ...TEXT,
          description: "Why the follower keeps clients where they are, or lets them nowhere",
        },
      }),
    },
    slots: {
      type: "array",
      description: "Without those that standbys keep for other members and that nobody uses",
      items: closed({
        member: { type: "string" },
        name: { type: "string" },
        type: { type: "string" },
        active: { type: "boolean" },
        wal_status: TEXT,
        retained_bytes: NUMBER,
      }),
    },
    disks: {
      type: "array",
      description: "As seen inside the nodes",
      items: closed({
        node: { type: "string" },
        of: { type: "string" },
        path: { type: "string" },
        total_bytes: { type: "number" },
        free_bytes: { type: "number" },
      }),
    },
    certificates: {
      type: "array",
      items: closed({
        member: { type: "string" },
        of: { type: "string" },
        not_after: { type: "string" },
        days_left: { type: "integer" },
        issuer: { type: "string" },
      }),
    },
    archive: {
      ...closed({
        member: { type: "string" },
        mode: { type: "string" },
        kept: { ...YES, description: "False when the WAL goes nowhere" },
        why: { type: "string" },
        failing: { type: "boolean" },
        archived: NUMBER,
        failed: NUMBER,
        last_archived_at: TEXT,
        last_failed_at: TEXT,
      }),
      type: ["object", "null"],
      description: "Of the leader",
    },
    guard: closed({
      running: { ...YES, description: "Null when nobody can tell" },
      why: { type: "string" },
    }),
    sources: {
      type: "array",
      description: "Who was asked, and who answered: what nobody told is not shown",
      items: closed({
        source: { type: "string" },
        asked: { type: "integer" },
        answered: { type: "integer" },
        silent: {
          type: "array",
          items: { type: "string" },
          description:
            "Those that did not answer, or not in time; empty also where there is only one to ask",
        },
        why: { ...TEXT, description: "Of the first that did not answer" },
      }),
    },
  },
} as const satisfies JsonSchema;
