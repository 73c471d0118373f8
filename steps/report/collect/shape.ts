import type { FromSchema } from "../../../engine/shared/from-schema.ts";
import {
  COUNT,
  FLAG,
  list,
  maybe,
  MAYBE_COUNT,
  MAYBE_NUMBER,
  MAYBE_TEXT,
  NUMBER,
  object,
  TEXT,
} from "./schema.ts";

const GROUP = object({ name: TEXT, count: COUNT });

const SERVER = object({
  release: TEXT,
  version_num: COUNT,
  role: { type: "string", enum: ["primary", "standby"] },
  database: TEXT,
  user: TEXT,
  node: { ...TEXT, description: "Address and port as the server sees them" },
  identity: { ...MAYBE_TEXT, description: "PostgreSQL's system_identifier" },
  cluster_name: MAYBE_TEXT,
  taken_at: TEXT,
  started_at: TEXT,
  uptime_seconds: COUNT,
  data_checksums: FLAG,
  block_size: COUNT,
  encoding: TEXT,
  extensions: list(object({ name: TEXT, version: TEXT })),
});

const CONFIGURATION = object({
  settings: {
    ...list(
      object({
        name: TEXT,
        value: TEXT,
        default: MAYBE_TEXT,
        source: TEXT,
        where: { ...MAYBE_TEXT, description: "File and line, where it may be seen" },
        pending_restart: FLAG,
        context: { ...TEXT, description: "The action that changes it" },
        category: TEXT,
      }),
    ),
    description: "Settings that differ from the built-in default, with the source of their value",
  },
  role_settings: {
    ...list(object({ database: MAYBE_TEXT, role: MAYBE_TEXT, settings: list(TEXT) })),
    description: "Settings of ALTER ROLE and ALTER DATABASE",
  },
});

const STATEMENT = object({
  queryid: MAYBE_TEXT,
  database: MAYBE_TEXT,
  user: MAYBE_TEXT,
  query: {
    ...TEXT,
    description: "Its beginning, normalised; literals that may hold a password are masked",
  },
  calls: COUNT,
  total_ms: NUMBER,
  share_percent: { ...NUMBER, description: "Of the execution time of all statements" },
  mean_ms: NUMBER,
  max_ms: NUMBER,
  rows: COUNT,
  cache_hit_percent: MAYBE_NUMBER,
  read_ms: MAYBE_NUMBER,
  temp_blocks: COUNT,
  wal_bytes: COUNT,
});

const STATEMENTS = object({
  available: FLAG,
  reason: MAYBE_TEXT,
  hint: MAYBE_TEXT,
  entries: { ...COUNT, description: "Listed or not" },
  hidden: { ...COUNT, description: "Of them those of other users that this one may not see" },
  total_ms: { ...NUMBER, description: "Of all entries" },
  calls: COUNT,
  own_ms: { ...NUMBER, description: "Of it pgdba's own statements, which are not listed" },
  evicted: {
    ...MAYBE_COUNT,
    description: "The number of entries that were thrown out for lack of room",
  },
  stats_reset: MAYBE_TEXT,
  top: list(STATEMENT),
});

const DATABASE = object({
  name: TEXT,
  owner: TEXT,
  bytes: MAYBE_COUNT,
  size: MAYBE_TEXT,
  connections: MAYBE_COUNT,
  commits: MAYBE_COUNT,
  rollbacks: MAYBE_COUNT,
  cache_hit_percent: MAYBE_NUMBER,
  temp_bytes: MAYBE_COUNT,
  deadlocks: MAYBE_COUNT,
  xid_age: COUNT,
  stats_reset: MAYBE_TEXT,
});

const RELATION = object({
  name: TEXT,
  kind: TEXT,
  bytes: COUNT,
  size: TEXT,
  table_bytes: COUNT,
  index_bytes: COUNT,
  toast_bytes: COUNT,
  estimated: { ...FLAG, description: "By the catalogue, because another session has it locked" },
  rows: { ...MAYBE_COUNT, description: "As the planner estimates it; null when never analysed" },
  dead_rows: COUNT,
  seq_scans: COUNT,
  index_scans: MAYBE_COUNT,
  last_vacuum: MAYBE_TEXT,
  last_analyze: MAYBE_TEXT,
});

const SIZES = object({
  total_bytes: { ...MAYBE_COUNT, description: "Of the databases listed whose size may be seen" },
  total: MAYBE_TEXT,
  databases: list(DATABASE),
  relations: { ...list(RELATION), description: "The largest of the database connected to" },
  counts: maybe({
    tables: COUNT,
    indexes: COUNT,
    materialized_views: COUNT,
    views: COUNT,
    sequences: COUNT,
    foreign_tables: COUNT,
  }),
  tablespaces: list(object({ name: TEXT, location: TEXT, bytes: MAYBE_COUNT, size: MAYBE_TEXT })),
});

const CONNECTIONS = maybe({
  used: COUNT,
  max: COUNT,
  reserved: { ...COUNT, description: "Kept for superusers and reserved roles" },
  hidden: { ...COUNT, description: "Sessions whose state this user may not see" },
  waiting_for_locks: COUNT,
  oldest_transaction_seconds: MAYBE_NUMBER,
  oldest_query_seconds: MAYBE_NUMBER,
  by_state: list(GROUP),
  by_database: list(GROUP),
  by_user: list(GROUP),
  by_application: list(GROUP),
});

const REPLICATION = object({
  standbys: list(
    object({
      name: TEXT,
      address: MAYBE_TEXT,
      user: MAYBE_TEXT,
      state: MAYBE_TEXT,
      sync_state: MAYBE_TEXT,
      sent_lsn: MAYBE_TEXT,
      replay_lsn: MAYBE_TEXT,
      lag_bytes: MAYBE_COUNT,
      write_lag_seconds: MAYBE_NUMBER,
      flush_lag_seconds: MAYBE_NUMBER,
      replay_lag_seconds: MAYBE_NUMBER,
    }),
  ),
  receiver: maybe({
    status: MAYBE_TEXT,
    sender_host: MAYBE_TEXT,
    sender_port: MAYBE_COUNT,
    slot_name: MAYBE_TEXT,
    receive_lsn: MAYBE_TEXT,
    replay_lsn: MAYBE_TEXT,
    replay_lag_bytes: MAYBE_COUNT,
    replay_lag_seconds: MAYBE_NUMBER,
    replay_paused: FLAG,
  }),
  slots: list(
    object({
      name: TEXT,
      type: TEXT,
      plugin: MAYBE_TEXT,
      database: MAYBE_TEXT,
      active: FLAG,
      consumer: { ...MAYBE_TEXT, description: "The process that reads it now" },
      wal_status: MAYBE_TEXT,
      safe_wal_bytes: MAYBE_COUNT,
      retained_bytes: MAYBE_COUNT,
      unread_bytes: {
        ...MAYBE_COUNT,
        description: "The bytes that its consumer has not confirmed",
      },
      invalidation_reason: MAYBE_TEXT,
      inactive_since: MAYBE_TEXT,
    }),
  ),
  subscriptions: list(
    object({ name: TEXT, running: FLAG, received_lsn: MAYBE_TEXT, behind_seconds: MAYBE_NUMBER }),
  ),
});

const WAL = object({
  level: MAYBE_TEXT,
  lsn: MAYBE_TEXT,
  max_size: MAYBE_TEXT,
  synchronous_standby_names: MAYBE_TEXT,
  directory: maybe({ files: COUNT, bytes: COUNT, size: TEXT }),
  statistics: maybe({
    records: COUNT,
    full_page_images: COUNT,
    bytes: COUNT,
    buffers_full: COUNT,
    stats_reset: MAYBE_TEXT,
  }),
  checkpoints: maybe({
    timed: COUNT,
    requested: COUNT,
    write_ms: NUMBER,
    sync_ms: NUMBER,
    buffers: COUNT,
    stats_reset: MAYBE_TEXT,
  }),
});

const BACKUPS = object({
  archiver: maybe({
    mode: TEXT,
    archived: COUNT,
    last_archived_wal: MAYBE_TEXT,
    last_archived_time: MAYBE_TEXT,
    failed: COUNT,
    last_failed_wal: MAYBE_TEXT,
    last_failed_time: MAYBE_TEXT,
    failing: FLAG,
  }),
  tool: { ...MAYBE_TEXT, description: "Backup program named in the settings or connected now" },
  running: {
    ...list(object({ phase: TEXT, total_bytes: MAYBE_COUNT, streamed_bytes: MAYBE_COUNT })),
    description: "Base backups under way",
  },
  note: { ...TEXT, description: "Facts that the server can't tell" },
});

const MISSING = object({
  section: TEXT,
  reason: TEXT,
  hint: { ...MAYBE_TEXT, description: "The GRANT that shows it" },
  partial: { ...FLAG, description: "A part of it is shown" },
});

const NUMBERS = { type: "object", additionalProperties: NUMBER } as const;

/** The part of a report that later ones compare with: figures, no texts of queries. */
const COUNTERS = object({
  taken_at: TEXT,
  node: TEXT,
  database: TEXT,
  role: TEXT,
  started_at: TEXT,
  newest_oid: { ...MAYBE_NUMBER, description: "No table or database had a higher one" },
  database_oids: NUMBERS,
  relation_oids: NUMBERS,
  relations_complete: { ...FLAG, description: "No table but the server's own was left out" },
  databases: {
    type: "object",
    additionalProperties: object({
      bytes: MAYBE_NUMBER,
      stats_reset: MAYBE_TEXT,
      commits: NUMBER,
      rollbacks: NUMBER,
      hit: NUMBER,
      read: NUMBER,
      temp_bytes: NUMBER,
      deadlocks: NUMBER,
    }),
  },
  relations: { ...NUMBERS, description: "Bytes by name" },
  statements: maybe({
    stats_reset: MAYBE_TEXT,
    complete: { ...FLAG, description: "No entry was left out" },
    entries: {
      type: "object",
      additionalProperties: { type: "array", items: NUMBER },
      description: "Calls, milliseconds and rows by database, user and queryid",
    },
  }),
  connections: MAYBE_NUMBER,
  wal_position: MAYBE_NUMBER,
  wal_bytes: MAYBE_NUMBER,
});

/** The output of `report.snapshot`. */
export const SNAPSHOT = object({
  server: SERVER,
  configuration: CONFIGURATION,
  statements: STATEMENTS,
  sizes: SIZES,
  connections: CONNECTIONS,
  replication: REPLICATION,
  wal: WAL,
  backups: BACKUPS,
  missing: list(MISSING),
  counters: COUNTERS,
  texts: {
    type: "object",
    additionalProperties: TEXT,
    description: "Beginnings of statements by database, user and queryid, for comparisons",
  },
});

export type Snapshot = FromSchema<typeof SNAPSHOT>;
export type Counters = FromSchema<typeof COUNTERS>;
export type Missing = FromSchema<typeof MISSING>;
