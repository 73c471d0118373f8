import type { Disk, Recommendation, TuneInput, Workload } from "./input.ts";
import { maintenanceWorkMem } from "./memory.ts";
import { maxWalSize } from "./wal.ts";
import { autovacuumWorkers } from "./workers.ts";
import { formatKb, GB, MB } from "./size.ts";

export interface Addition extends Recommendation {
  /** The manual's entry for the setting. */
  source: string;
}

interface Profile {
  checkpoint: string;
  idleInTransaction: string;
  vacuumScale: number;
  analyzeScale: number;
  slowStatement: string;
  slowAutovacuum: string;
  tempFiles: string;
}

const SHORT: Profile = {
  checkpoint: "15min",
  idleInTransaction: "5min",
  vacuumScale: 0.05,
  analyzeScale: 0.02,
  slowStatement: "1s",
  slowAutovacuum: "10s",
  tempFiles: "10MB",
};

/** A desktop is left alone but for what diagnosis needs. */
const PROFILES: Record<Exclude<Workload, "desktop">, Profile> = {
  web: SHORT,
  oltp: SHORT,
  mixed: {
    ...SHORT,
    idleInTransaction: "10min",
    slowStatement: "5s",
    slowAutovacuum: "1min",
    tempFiles: "100MB",
  },
  olap: {
    checkpoint: "30min",
    idleInTransaction: "1h",
    vacuumScale: 0.1,
    analyzeScale: 0.05,
    slowStatement: "1min",
    slowAutovacuum: "1min",
    tempFiles: "1GB",
  },
};

/** Credits per round of all autovacuum workers; the default of 200 was chosen for one spinning disk. */
const VACUUM_COST_LIMIT: Record<Disk, number> = { hdd: 200, ssd: 1000, san: 1000, nvme: 2000 };

/** Writes per second a cost limit allows: a dirtied page costs 20, a round is 2 ms, a page 8 kB. */
const dirtiedMbPerSecond = (limit: number): number => Math.round(((limit / 20) * 500 * 8) / MB);

const manual = (page: string, name: string): string =>
  `https://www.postgresql.org/docs/current/runtime-config-${page}.html#GUC-${name.toUpperCase().replaceAll("_", "-")}`;

const add = (page: string, name: string, value: string | number, reason: string): Addition => ({
  name,
  value,
  reason,
  source: manual(page, name),
});

/**
 * Settings that PGTune leaves out. None of these names is one of its own for the same input, none adds memory per session, and
 * none stops a server of that version from starting. Pure.
 *
 * Left out on purpose: `statement_timeout` and `lock_timeout`, of which the manual says not to set them for all sessions
 * (they would end dumps and index builds too).
 */
export function additions(input: TuneInput): Addition[] {
  return [...safety(input), ...autovacuum(input), ...logging(input)];
}

function safety({ workload, version }: TuneInput): Addition[] {
  if (workload === "desktop") return [];
  const { checkpoint, idleInTransaction } = PROFILES[workload];
  const keep = 4 * maxWalSize(workload);
  return [
    add(
      "wal",
      "checkpoint_timeout",
      checkpoint,
      `The first change of each page after a checkpoint writes the whole page to WAL; ${checkpoint} instead of 5min makes that rarer. max_wal_size still bounds the time a recovery takes.`,
    ),
    ...(version >= 13
      ? [
          add(
            "replication",
            "max_slot_wal_keep_size",
            formatKb(keep),
            `Without it the slot of a standby that never returns keeps WAL until the disk is full and the primary stops. ${formatKb(keep)} is four times max_wal_size; keep it below the free space of pg_wal. A standby further behind needs the WAL archive, or to be built anew.`,
          ),
        ]
      : []),
    add(
      "client",
      "idle_in_transaction_session_timeout",
      idleInTransaction,
      `A session that forgot its transaction holds locks and keeps VACUUM from removing dead rows everywhere; after ${idleInTransaction} it is ended. pg_dump lifts the limit for itself.`,
    ),
  ];
}

function autovacuum(input: TuneInput): Addition[] {
  const { workload, version, disk } = input;
  return [
    ...autovacuumMemory(input),
    ...(workload === "desktop" ? [] : [...pace(version, disk), ...scale(workload, version)]),
  ];
}

/** Only where PGTune leaves it at -1, which is maintenance_work_mem for each worker. */
function autovacuumMemory(input: TuneInput): Addition[] {
  const maintenance = maintenanceWorkMem(input);
  const workers = autovacuumWorkers(input);
  // Below 64 MB more passes over the indexes cost more than the memory is worth.
  const each = Math.max(Math.floor(maintenance / workers / MB) * MB, 64 * MB);
  if (maintenance >= 2 * GB || each >= maintenance) return [];
  return [
    add(
      "resource",
      "autovacuum_work_mem",
      formatKb(each),
      `Else each of ${workers} autovacuum workers could take maintenance_work_mem, ${formatKb(maintenance)}; this way ${each * workers > maintenance ? "each keeps to 64MB, room for 11 million dead rows and more in one pass" : "they take it together"}.`,
    ),
  ];
}

function pace(version: number, disk: Disk): Addition[] {
  const limit = VACUUM_COST_LIMIT[disk];
  return [
    ...(version < 12
      ? [
          add(
            "vacuum",
            "autovacuum_vacuum_cost_delay",
            "2ms",
            `The default of 20ms before 12 holds all workers together to 4MB of writes per second; 2ms is the default since.`,
          ),
        ]
      : []),
    ...(limit > 200
      ? [
          add(
            "vacuum",
            "autovacuum_vacuum_cost_limit",
            limit,
            `All autovacuum workers share this pace. The default of 200 allows ${dirtiedMbPerSecond(200)}MB of dirtied pages per second, chosen for one spinning disk; ${limit} allows ${dirtiedMbPerSecond(limit)}MB, little for ${disk} storage.`,
          ),
        ]
      : []),
  ];
}

function scale(workload: Exclude<Workload, "desktop">, version: number): Addition[] {
  const { vacuumScale, analyzeScale } = PROFILES[workload];
  const percent = (factor: number): string => `${Math.round(factor * 100)} %`;
  return [
    add(
      "vacuum",
      "autovacuum_vacuum_scale_factor",
      vacuumScale,
      `Vacuums a table when ${percent(vacuumScale)} of its rows are dead instead of 20 %: more often, less each time, less bloat in large tables.`,
    ),
    add(
      "vacuum",
      "autovacuum_analyze_scale_factor",
      analyzeScale,
      `Renews statistics when ${percent(analyzeScale)} of the rows have changed instead of 10 %, before a large table's newest values are unknown to the planner.`,
    ),
    ...(version >= 13
      ? [
          add(
            "vacuum",
            "autovacuum_vacuum_insert_scale_factor",
            vacuumScale,
            `Vacuums tables that only grow when they grew by ${percent(vacuumScale)} instead of 20 %, which keeps index-only scans possible and spreads the work of freezing.`,
          ),
        ]
      : []),
  ];
}

function logging({ workload, version }: TuneInput): Addition[] {
  const profile = workload === "desktop" ? SHORT : PROFILES[workload];
  const log = (name: string, value: string, reason: string) => add("logging", name, value, reason);
  return [
    log(
      "log_lock_waits",
      "on",
      "Names who waits for whom when a lock is not had within deadlock_timeout (1s); without it a stall leaves no trace.",
    ),
    ...(version < 15
      ? [
          log(
            "log_checkpoints",
            "on",
            "Shows whether time or WAL volume starts checkpoints and how long they write; on by default since 15.",
          ),
        ]
      : []),
    log(
      "log_temp_files",
      profile.tempFiles,
      `Shows the queries that spill ${profile.tempFiles} or more to disk, for which work_mem is too small.`,
    ),
    log(
      "log_autovacuum_min_duration",
      profile.slowAutovacuum,
      `Shows each autovacuum that took ${profile.slowAutovacuum}, with what it removed and what it could not.`,
    ),
    log(
      "log_min_duration_statement",
      profile.slowStatement,
      `Logs statements of ${profile.slowStatement} or more, of which a workload like ${workload} should not have many. Their text may hold personal data.`,
    ),
    add(
      "statistics",
      "track_io_timing",
      "on",
      "Shows in EXPLAIN, pg_stat_statements and autovacuum's log what part of the time was I/O. Costs two clock reads per I/O; pg_test_timing tells where they are slow.",
    ),
    add(
      "statistics",
      "track_activity_query_size",
      // In bytes, and without units before 11.
      version < 11 ? 4096 : "4kB",
      "Statements longer than the default 1kB are cut off in pg_stat_activity, often before the interesting part. Takes 4kB of shared memory per session.",
    ),
  ];
}
