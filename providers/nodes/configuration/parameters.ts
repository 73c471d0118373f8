/** The settings that a new cluster begins with, and the limits that follow from them. */
import type { Spec } from "../contract.ts";

type Setting = string | number | boolean;

const MB = 1 << 20;
/** PostgreSQL's own default. */
const MAX_CONNECTIONS = 100;
/** Connections that PgBouncer leaves alone: those of superusers, of pgdba, of exporters. */
const KEPT = 10;

/** PostgreSQL's settings for all members: ours, and the wish over them. `walBytes`: the size of the volume that WAL lies on. */
export function parametersOf(
  spec: Pick<Spec, "settings">,
  walBytes?: number,
): Record<string, Setting> {
  const megabytes = (most: number, part: number) =>
    `${walBytes === undefined ? most : Math.max(32, Math.min(most, Math.floor(walBytes / part / MB)))}MB`;
  const ours: Record<string, Setting> = {
    max_connections: MAX_CONNECTIONS,
    max_wal_senders: 10,
    max_replication_slots: 10,
    wal_level: "replica",
    wal_log_hints: true,
    wal_keep_size: megabytes(128, 8),
    max_wal_size: megabytes(1024, 4),
    // A standby that stays away must be copied anew at some point; the primary's disk must not fill up for it.
    max_slot_wal_keep_size: megabytes(8192, 3),
    // To switch archiving on takes a restart; with a command that discards, backups can be set up without one.
    archive_mode: true,
    archive_command: "/bin/true",
    password_encryption: "scram-sha-256",
    shared_preload_libraries: "pg_stat_statements",
    track_io_timing: true,
    log_checkpoints: true,
    log_lock_waits: true,
    log_line_prefix: "%m [%p] %q%u@%d ",
    // Long reads on a standby are cancelled rather than bloat the primary.
    hot_standby_feedback: false,
    wal_retrieve_retry_interval: "500ms",
  };
  const all = { ...ours, ...spec.settings };
  return Object.fromEntries(
    Object.entries(all).map(([name, value]) => [
      name,
      typeof value === "boolean" ? (value ? "on" : "off") : value,
    ]),
  );
}

export interface PoolLimits {
  max_client_conn: number;
  max_db_connections: number;
  default_pool_size: number;
  reserve_pool_size: number;
}

/** PgBouncer's limits, for one of `instances` in front of a server with these settings. */
export function poolLimits(
  settings: Spec["settings"],
  instances: number,
): { max_connections: number; kept: number; limits: PoolLimits } {
  const wished = Number(settings?.["max_connections"] ?? MAX_CONNECTIONS);
  const max_connections = Number.isSafeInteger(wished) && wished > 0 ? wished : MAX_CONNECTIONS;
  const reserved = Number(settings?.["superuser_reserved_connections"] ?? 3);
  const kept = Math.min(KEPT + reserved, Math.floor(max_connections / 2));
  const share = Math.max(1, Math.floor((max_connections - kept) / instances));
  const reserve = Math.floor(share / 10);
  return {
    max_connections,
    kept,
    limits: {
      max_client_conn: Math.max(1000, 10 * max_connections),
      max_db_connections: share,
      // Two databases or users, each with a full pool, still find room.
      default_pool_size: Math.max(1, Math.floor((share - reserve) / 2)),
      reserve_pool_size: reserve,
    },
  };
}
