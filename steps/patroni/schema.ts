const NUMBER = { type: ["number", "null"] } as const;
const TEXT = { type: ["string", "null"] } as const;
const LAG = { type: ["number", "string", "null"] } as const;

export const SCHEDULED = {
  type: ["object", "null"],
  additionalProperties: false,
  required: ["at", "from", "to"],
  properties: { at: { type: "string" }, from: TEXT, to: TEXT },
} as const;

/** A cluster as `PatroniClient.cluster` gives it. */
export const CLUSTER = {
  type: "object",
  additionalProperties: false,
  required: ["members", "leader", "pause", "scheduled_switchover"],
  properties: {
    leader: {
      ...TEXT,
      description: "The member that holds the leader key; null while nobody does",
    },
    pause: { type: "boolean" },
    scheduled_switchover: SCHEDULED,
    members: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: [
          "name",
          "role",
          "state",
          "api",
          "host",
          "port",
          "timeline",
          "lag",
          "receive_lsn",
          "replay_lsn",
          "receive_lag",
          "replay_lag",
          "tags",
          "pending_restart",
          "pending_restart_reason",
          "scheduled_restart",
        ],
        properties: {
          name: { type: "string" },
          role: {
            type: "string",
            description:
              "`leader`, `replica`, `sync_standby`, `quorum_standby` or `standby_leader`",
          },
          state: { type: "string", description: "`running`, `streaming`, `stopped`, …" },
          api: { type: "string", description: "Its REST API, where pgdba reaches it" },
          host: { type: "string" },
          port: { type: "integer" },
          timeline: NUMBER,
          lag: {
            ...LAG,
            description: "Bytes, up to one loop old; `unknown`, or null for the leader",
          },
          receive_lsn: { ...TEXT, description: "From Patroni 4.1 on" },
          replay_lsn: TEXT,
          receive_lag: LAG,
          replay_lag: LAG,
          tags: { type: "object" },
          pending_restart: { type: "boolean" },
          pending_restart_reason: { type: "object" },
          scheduled_restart: { type: ["object", "null"] },
        },
      },
    },
  },
} as const;

/** The end of a switchover or failover, as `PatroniClient` gives it, with the leader of before. */
export const MOVED = {
  type: "object",
  additionalProperties: false,
  required: ["before", "leader", "asked", "as_asked", "scheduled", "timeline"],
  properties: {
    before: { ...TEXT, description: "The member that led before" },
    leader: { ...TEXT, description: "The one that leads now; null where the move is scheduled" },
    asked: { ...TEXT, description: "The one that was to lead; null where Patroni chose" },
    as_asked: { type: "boolean", description: "False when another one leads than was asked for" },
    scheduled: SCHEDULED,
    timeline: { ...NUMBER, description: "The new leader's; null where it does not tell" },
  },
} as const;

export const MEMBER = {
  type: "string",
  minLength: 1,
  description: "Its name, its host, or host:port",
} as const;
