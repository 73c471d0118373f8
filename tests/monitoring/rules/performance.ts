import type { Alert, Case } from "./cases.ts";

const on = (instance: string, severity: string, says: string, more = {}): Alert => ({
  severity,
  labels: { instance, ...more },
  says,
});
const LIMITS = {
  "pg_settings_max_connections pg1": 103,
  "pg_settings_superuser_reserved_connections pg1": 3,
};
const clients = (state: string): string =>
  `pg_stat_activity_count pg1 backend_type=client%20backend state=${state} datname=app`;

/** An alert whose value pgdba serves as it is: quiet at the threshold, warning and critical above. */
function byAge(alert: string, metric: string, limits: [number, number], says: string): Case[] {
  const [warning, critical] = limits;
  const text = (value: string): string => says.replace("%", value);
  return [
    {
      alert,
      when: "above the warning",
      series: { [`${metric} shop`]: warning + 1 },
      after: "30s",
      fires: [on("shop", "warning", text(duration(warning + 1)))],
    },
    {
      alert,
      when: "above the critical value",
      series: { [`${metric} shop`]: critical + 1 },
      after: "30s",
      fires: [
        on("shop", "warning", text(duration(critical + 1))),
        on("shop", "critical", text(duration(critical + 1))),
      ],
    },
    { alert, when: "just not", series: { [`${metric} shop`]: warning }, after: "5m", fires: [] },
  ];
}

function duration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours}h ${minutes}m ${seconds % 60}s`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}

/** An alert on a value of a database, in two severities. */
function byDatabase(
  alert: string,
  series: (value: number) => Case["series"],
  [quiet, warning, critical]: [number, number, number],
  [half, most]: [string, string],
  after: string,
): Case[] {
  return [
    {
      alert,
      when: "above the warning",
      series: series(warning),
      after,
      fires: [{ severity: "warning", labels: { datname: "app" }, says: half }],
    },
    {
      alert,
      when: "above the critical value",
      series: series(critical),
      after,
      fires: [
        { severity: "warning", labels: { datname: "app" }, says: most },
        { severity: "critical", labels: { datname: "app" }, says: most },
      ],
    },
    { alert, when: "below", series: series(quiet), after, fires: [] },
  ];
}

export const PERFORMANCE: Case[] = [
  {
    alert: "ConnectionsUsed",
    when: "85 of 100 that may be used",
    series: { ...LIMITS, [clients("idle")]: 80, [clients("active")]: 5 },
    after: "90s",
    fires: [on("pg1", "warning", "85 % of the usable connections of pg1 of shop are taken.")],
  },
  {
    alert: "ConnectionsUsed",
    when: "95 of 97, where some are reserved",
    series: { ...LIMITS, "pg_settings_reserved_connections pg1": 3, [clients("idle")]: 95 },
    after: "90s",
    fires: [
      on("pg1", "warning", "98 % of the usable connections of pg1 of shop are taken."),
      on("pg1", "critical", "98 % of the usable connections of pg1 of shop are taken."),
    ],
  },
  {
    alert: "ConnectionsUsed",
    when: "the server is so full that the exporter does not get in",
    series: { "pg_up pg1": 0, "pgdba_server_full shop": 1 },
    after: "90s",
    fires: [
      {
        severity: "critical",
        labels: {},
        says: "100 % of the usable connections of shop are taken.",
      },
    ],
  },
  {
    alert: "ConnectionsUsed",
    when: "79 of 100; processes of the server do not count",
    series: {
      ...LIMITS,
      [clients("idle")]: 79,
      "pg_stat_activity_count pg1 backend_type=autovacuum%20worker datname=app": 20,
      "pgdba_server_full shop": 0,
    },
    after: "10m",
    fires: [],
  },
  {
    alert: "PgBouncerWaiting",
    when: "three clients for more than a minute",
    series: {
      "pgbouncer_pools_client_waiting_connections pgbouncer1 database=app user=web": 3,
      "pgbouncer_pools_client_maxwait_seconds pgbouncer1 database=app user=web": 2,
    },
    after: "90s",
    fires: [
      on(
        "pgbouncer1",
        "warning",
        "3 clients of app have waited in pgbouncer1 of shop for a minute: the pool is too small, or its transactions are too long.",
        { database: "app" },
      ),
    ],
  },
  {
    alert: "PgBouncerWaiting",
    when: "one for eight seconds",
    series: {
      "pgbouncer_pools_client_waiting_connections pgbouncer1 database=app user=web": 0,
      "pgbouncer_pools_client_maxwait_seconds pgbouncer1 database=app user=web": 8,
    },
    after: "60s",
    fires: [
      on("pgbouncer1", "critical", "A client of app has waited for 8s in pgbouncer1 of shop.", {
        database: "app",
      }),
    ],
  },
  {
    alert: "PgBouncerWaiting",
    when: "nobody waits",
    series: {
      "pgbouncer_pools_client_waiting_connections pgbouncer1 database=app user=web": 0,
      "pgbouncer_pools_client_maxwait_seconds pgbouncer1 database=app user=web": 0,
    },
    after: "5m",
    fires: [],
  },
  ...byAge(
    "LockWait",
    "pgdba_lock_wait_seconds_max",
    [10, 60],
    "A session of shop has waited for a lock for %.",
  ),
  {
    alert: "LockWait",
    when: "only the exporter looks",
    series: { "pg_stat_activity_count pg1 wait_event_type=Lock state=active": 2 },
    after: "60s",
    fires: [
      {
        severity: "warning",
        labels: { instance: "pg1", seen_by: "postgres_exporter" },
        says: "2 sessions of pg1 of shop wait for locks.",
      },
    ],
  },
  {
    alert: "LockWait",
    when: "some wait for a moment each, as pgdba knows",
    series: {
      "pg_stat_activity_count pg1 wait_event_type=Lock state=active": 2,
      "pgdba_lock_wait_seconds_max shop": 1,
    },
    after: "5m",
    fires: [],
  },
  ...byAge(
    "LongTransaction",
    "pgdba_transaction_seconds_max",
    [600, 3600],
    "A transaction of shop has been open for %.",
  ),
  ...byAge(
    "IdleInTransaction",
    "pgdba_idle_in_transaction_seconds_max",
    [60, 600],
    "A session of shop has been idle inside a transaction for %.",
  ),
  ...byAge(
    "PreparedTransaction",
    "pgdba_prepared_transaction_seconds_max",
    [300, 3600],
    "A transaction of shop was prepared % ago and has not ended.",
  ),
  {
    alert: "Deadlocks",
    when: "one each 15 s",
    series: { "pg_stat_database_deadlocks pg1 datname=app": "0+1" },
    after: "6m",
    fires: [
      {
        severity: "warning",
        labels: { datname: "app" },
        says: "20 deadlocks in app of shop within five minutes.",
      },
    ],
  },
  {
    alert: "Deadlocks",
    when: "many long ago, and a restart",
    series: { "- pg_stat_database_deadlocks pg1 datname=app": "900x20 0x20" },
    after: "9m",
    fires: [],
  },
  {
    alert: "CheckpointsRequested",
    when: "nine of ten, on PostgreSQL 17",
    series: {
      "pg_stat_checkpointer_num_requested_total pg1": "0+0.3",
      "pg_stat_checkpointer_num_timed_total pg1": "0+0.0333333333",
    },
    after: "80m",
    gone: "70m",
    fires: [
      on(
        "pg1",
        "warning",
        "90 % of the checkpoints of pg1 of shop within the last hour were forced.",
      ),
    ],
  },
  {
    alert: "CheckpointsRequested",
    when: "nine of ten, on PostgreSQL 16",
    series: {
      "pg_stat_bgwriter_checkpoints_req_total pg1": "0+0.3",
      "pg_stat_bgwriter_checkpoints_timed_total pg1": "0+0.0333333333",
    },
    after: "80m",
    gone: "70m",
    fires: [
      on(
        "pg1",
        "warning",
        "90 % of the checkpoints of pg1 of shop within the last hour were forced.",
      ),
    ],
  },
  {
    alert: "CheckpointsRequested",
    when: "on a standby, which counts the restartpoints that it could not make",
    series: {
      "pg_replication_is_replica pg1": 1,
      "pg_stat_bgwriter_checkpoints_req_total pg1": "0+0.3",
      "pg_stat_bgwriter_checkpoints_timed_total pg1": 0,
    },
    after: "80m",
    fires: [],
  },
  {
    alert: "CheckpointsRequested",
    when: "all of three: a backup asked for them",
    series: {
      "pg_stat_checkpointer_num_requested_total pg1": "0+0.0125",
      "pg_stat_checkpointer_num_timed_total pg1": 0,
    },
    after: "80m",
    fires: [],
  },
  {
    alert: "CacheHit",
    when: "80 % at 2,000 reads a second",
    series: {
      "pg_stat_database_blks_hit pg1 datname=app": "0+120000",
      "pg_stat_database_blks_read pg1 datname=app": "0+30000",
    },
    after: "36m",
    fires: [
      on("pg1", "warning", "80.0 % of the pages that pg1 of shop reads are found in its cache."),
    ],
  },
  {
    alert: "CacheHit",
    when: "none at all, on a server that does nothing",
    series: {
      "pg_stat_database_blks_hit pg1 datname=app": 0,
      "pg_stat_database_blks_read pg1 datname=app": "0+10",
    },
    after: "36m",
    fires: [],
  },
  {
    alert: "TempFiles",
    when: "40 GiB a day",
    series: { "pg_stat_database_temp_bytes pg1 datname=app": "0+7456540.4444" },
    after: "125m",
    gone: "70m",
    fires: [on("pg1", "warning", "Queries on pg1 of shop spill so fast that it is 40GiB a day.")],
  },
  {
    alert: "TempFiles",
    when: "1 GiB a day",
    series: { "pg_stat_database_temp_bytes pg1 datname=app": "0+186413.5" },
    after: "125m",
    fires: [],
  },
  ...(["3", "6"] as const).map((times): Case => ({
    alert: "WalDirectorySize",
    when: `${times} times the expected size`,
    series: {
      "pg_wal_size_bytes pg1": Number(times) * 2_000_000_000,
      "pg_settings_max_wal_size_bytes pg1": 1_500_000_000,
      "pg_settings_wal_keep_size_bytes pg1": 500_000_000,
    },
    after: "6m",
    fires: (times === "3" ? ["warning"] : ["warning", "critical"]).map((severity) =>
      on("pg1", severity, `pg_wal of pg1 of shop is ${times}.0 times as large as expected.`),
    ),
  })),
  {
    alert: "WalDirectorySize",
    when: "three times of little",
    series: {
      "pg_wal_size_bytes pg1": 300_000_000,
      "pg_settings_max_wal_size_bytes pg1": 100_000_000,
      "pg_settings_wal_keep_size_bytes pg1": 0,
    },
    after: "10m",
    fires: [],
  },
  ...byDatabase(
    "WraparoundDatabase",
    (value) => ({
      "pg_database_wraparound_age_datfrozenxid_seconds pg1 datname=app": value,
      "pg_database_wraparound_age_datfrozenxid_seconds pg2 datname=app": value,
    }),
    [200_000_000, 1_073_741_824, 1_932_735_283],
    [
      "The oldest transaction id of app of shop takes 50.0 % of what there are.",
      "The oldest transaction id of app of shop takes 90.0 % of what there are.",
    ],
    "11m",
  ),
  ...byDatabase(
    "WraparoundMultixact",
    (value) => ({ "pg_database_wraparound_age_datminmxid_seconds pg1 datname=app": value }),
    [200_000_000, 1_073_741_824, 1_932_735_283],
    [
      "The oldest multixact of app of shop takes 50.0 % of what there are.",
      "The oldest multixact of app of shop takes 90.0 % of what there are.",
    ],
    "11m",
  ),
  ...byDatabase(
    "SequenceExhausted",
    (value) => ({ "pgdba_sequence_used_ratio_max shop datname=app": value }),
    [0.7, 0.8, 0.95],
    [
      "A sequence of app of shop has used 80 % of its values.",
      "A sequence of app of shop has used 95 % of its values.",
    ],
    "6m",
  ),
];
