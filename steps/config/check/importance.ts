import type { Setting } from "../../../providers/postgres/settings.ts";

export type Importance = "high" | "medium" | "low";

/** Settings that can lose data, stop a standby or a backup from working, or decide how much the server can do at all. */
const HIGH = new Set([
  "archive_command",
  "archive_library",
  "archive_mode",
  "autovacuum",
  "checkpoint_timeout",
  "data_checksums",
  "effective_cache_size",
  "fsync",
  "full_page_writes",
  "hot_standby",
  "huge_pages",
  "idle_in_transaction_session_timeout",
  "io_method",
  "maintenance_work_mem",
  "max_connections",
  "max_slot_wal_keep_size",
  "max_wal_size",
  "password_encryption",
  "random_page_cost",
  "shared_buffers",
  "shared_preload_libraries",
  "ssl",
  "synchronous_commit",
  "synchronous_standby_names",
  "track_counts",
  "wal_level",
  "work_mem",
]);

/** Categories of pg_settings that change how fast or how safely the server works; the rest is about messages, locale and developers. */
const MEDIUM =
  /^(Autovacuum|Vacuuming|Resource Usage|Write-Ahead Log|WAL|Replication|Query Tuning|Connections and Authentication|Lock Management)/;

export function importanceOf({ name, category }: Pick<Setting, "name" | "category">): Importance {
  if (HIGH.has(name.toLowerCase())) return "high";
  return MEDIUM.test(category) ? "medium" : "low";
}

const RANK: Record<Importance, number> = { high: 0, medium: 1, low: 2 };

interface Ranked {
  difference: { name: string; importance: Importance };
  factor: number;
}

/** The most important first; among equals, what is furthest apart, then by name. */
export function byImportance(a: Ranked, b: Ranked): number {
  const [one, other] = [a.difference, b.difference];
  if (one.importance !== other.importance) return RANK[one.importance] - RANK[other.importance];
  if (a.factor !== b.factor) return b.factor - a.factor;
  return one.name < other.name ? -1 : 1;
}
