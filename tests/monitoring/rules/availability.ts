import type { Case } from "./cases.ts";

const shop = (instance: string, more: Record<string, string> = {}) => ({ instance, ...more });
const NO_LEADER = {
  severity: "critical",
  says: "No member of shop says that it leads: nobody takes writes, or nobody can be asked.",
};
const DOWN = {
  severity: "critical",
  labels: shop("pg1"),
  says: "Nobody reaches PostgreSQL on pg1 of shop.",
};
const DAY = 86_400;

export const AVAILABILITY: Case[] = [
  // Leadership
  {
    alert: "TwoPrimaries",
    when: "Patroni of two members says so",
    series: { "patroni_primary pg1": 1, "patroni_primary pg2": 1 },
    every: "5s",
    after: "15s",
    fires: [
      {
        severity: "critical",
        says: "2 members of shop are primaries at once. What is written to the wrong one is lost.",
      },
    ],
  },
  {
    alert: "TwoPrimaries",
    when: "pgdba finds two that take writes",
    series: { "patroni_primary pg1": 1, "pgdba_cluster_members_writable shop": 2 },
    every: "5s",
    after: "15s",
    fires: [
      {
        severity: "critical",
        says: "2 members of shop are primaries at once. What is written to the wrong one is lost.",
      },
    ],
  },
  {
    alert: "TwoPrimaries",
    when: "a switchover: for 5 s the old one has not been asked again",
    series: { "- patroni_primary pg1": "1x4 0x10", "- patroni_primary pg2": "0x3 1x10" },
    every: "5s",
    after: "40s",
    fires: [],
  },
  {
    alert: "TwoPrimaries",
    when: "two servers without Patroni",
    series: { "pg_replication_is_replica pg1": 0, "pg_replication_is_replica pg2": 0 },
    after: "2m",
    fires: [
      {
        severity: "critical",
        labels: { seen_by: "postgres_exporter" },
        says: "2 members of shop are primaries at once. What is written to the wrong one is lost.",
      },
    ],
  },
  {
    alert: "TwoPrimaries",
    when: "one primary, one standby",
    series: {
      "pg_replication_is_replica pg1": 0,
      "pg_replication_is_replica pg2": 1,
      "patroni_primary pg1": 1,
      "patroni_primary pg2": 0,
    },
    after: "2m",
    fires: [],
  },
  {
    alert: "NoLeader",
    when: "all are replicas",
    series: { "patroni_primary pg1": 0, "patroni_primary pg2": 0 },
    every: "5s",
    after: "40s",
    fires: [NO_LEADER],
    goneFires: [NO_LEADER],
  },
  {
    alert: "NoLeader",
    when: "one leads",
    series: { "patroni_primary pg1": 1, "patroni_primary pg2": 0 },
    every: "5s",
    after: "2m",
    fires: [],
  },
  {
    alert: "NoLeader",
    when: "a standby cluster has its leader",
    series: { "patroni_primary pg1": 0, "patroni_standby_leader pg1": 1 },
    every: "5s",
    after: "2m",
    fires: [],
  },
  {
    alert: "DcsLost",
    when: "one member is cut off",
    series: { "patroni_dcs_last_seen pg1": 0, "patroni_dcs_last_seen pg2": "0+5" },
    every: "5s",
    after: "60s",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1"),
        says: "Patroni on pg1 of shop has not reached etcd for 1m 0s.",
      },
    ],
  },
  {
    alert: "DcsLost",
    when: "the store is gone",
    series: { "patroni_dcs_last_seen pg1": 0, "patroni_dcs_last_seen pg2": 0 },
    every: "5s",
    after: "60s",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1"),
        says: "Patroni on pg1 of shop has not reached etcd for 1m 0s.",
      },
      {
        severity: "warning",
        labels: shop("pg2"),
        says: "Patroni on pg2 of shop has not reached etcd for 1m 0s.",
      },
      {
        severity: "critical",
        says: "No member of shop has reached etcd for 1m 0s: there will be no failover, and the leader gives up unless all members answer it.",
      },
    ],
  },
  {
    alert: "DcsLost",
    when: "both see it",
    series: { "patroni_dcs_last_seen pg1": "0+5", "patroni_dcs_last_seen pg2": "0+5" },
    every: "5s",
    after: "3m",
    fires: [],
  },
  {
    alert: "FailsafeActive",
    when: "the leader lives by its members' answers",
    series: { "patroni_failsafe_mode_is_active pg1": 1, "patroni_failsafe_mode_is_active pg2": 0 },
    every: "5s",
    after: "30s",
    fires: [
      {
        severity: "critical",
        says: "The leader of shop stays primary because all members still answer it. One more failure, and it gives up.",
      },
    ],
  },
  {
    alert: "FailsafeActive",
    when: "it is only allowed",
    series: { "patroni_failsafe_mode_is_active pg1": 0 },
    every: "5s",
    after: "30s",
    fires: [],
  },

  // Members
  {
    alert: "PostgresDown",
    when: "all who speak of it say so",
    series: { "pg_up pg1": 0, "patroni_postgres_running pg1": 0, "pg_up pg2": 1 },
    after: "90s",
    fires: [DOWN],
    goneFires: [DOWN, { ...DOWN, labels: shop("pg2"), says: DOWN.says.replace("pg1", "pg2") }],
  },
  {
    alert: "PostgresDown",
    when: "the node is off, and nobody on it speaks",
    series: { "up pg1 job=postgres": 0, "up pg1 job=patroni": 0, "pg_up pg2": 1 },
    after: "90s",
    fires: [DOWN],
    goneFires: [DOWN, { ...DOWN, labels: shop("pg2"), says: DOWN.says.replace("pg1", "pg2") }],
  },
  {
    alert: "PostgresDown",
    when: "only the exporter has died",
    series: { "up pg1 job=postgres": 0, "patroni_postgres_running pg1": 1 },
    after: "10m",
    fires: [],
  },
  {
    alert: "PostgresDown",
    when: "only Patroni has died",
    series: { "up pg1 job=patroni": 0, "pg_up pg1": 1 },
    after: "10m",
    fires: [],
  },
  {
    alert: "TargetDown",
    when: "the exporter does not answer",
    series: { "up pg1 job=postgres": 0, "up pg2 job=postgres": 1 },
    after: "3m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1", { job: "postgres" }),
        says: "Nothing is known of pg1 of shop from postgres. Alerts that need it stay silent.",
      },
    ],
  },
  {
    alert: "TargetDown",
    when: "one scrape failed",
    series: { "- up pg1 job=postgres": "1x8 0 1x10" },
    after: "4m",
    fires: [],
  },
  {
    alert: "CollectorFails",
    when: "a collector can't read",
    series: {
      "pg_scrape_collector_success pg1 collector=replication": 0,
      "pg_scrape_collector_success pg1 collector=locks": 1,
      "pg_up pg1": 1,
    },
    after: "16m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1", { collector: "replication" }),
        says: "postgres_exporter can't read replication on pg1 of shop. Alerts that need it stay silent; its log says why.",
      },
    ],
  },
  {
    alert: "CollectorFails",
    when: "the server is down, or has no pg_stat_statements",
    series: {
      "pg_scrape_collector_success pg1 collector=replication": 0,
      "pg_up pg1": 0,
      "pg_scrape_collector_success pg2 collector=stat_statements": 0,
      "pg_up pg2": 1,
    },
    after: "20m",
    fires: [],
  },
  {
    alert: "PostgresRestarted",
    when: "it has a new start time",
    series: { "- pg_postmaster_start_time_seconds pg1": "100x10 900x10" },
    after: "5m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1"),
        says: "PostgreSQL on pg1 of shop was started again within the last 15 minutes.",
      },
    ],
  },
  {
    alert: "PostgresRestarted",
    when: "it was scraped for the first time",
    series: { "- pg_postmaster_start_time_seconds pg1": "_x10 900x10" },
    after: "5m",
    fires: [],
  },
  {
    alert: "LeaderChanged",
    when: "a new timeline, after some silence",
    series: { "- patroni_postgres_timeline pg2": "3x10 _x10 4x20" },
    every: "5s",
    after: "3m",
    fires: [
      {
        severity: "warning",
        says: "shop went to a new timeline within the last 15 minutes: a failover, a switchover or a restore.",
      },
    ],
  },
  {
    alert: "LeaderChanged",
    when: "a member that starts knows no timeline yet",
    series: { "- patroni_postgres_timeline pg2": "0x10 4x40" },
    every: "5s",
    after: "4m",
    fires: [],
  },
  {
    alert: "PatroniPaused",
    when: "for more than an hour",
    series: { "patroni_is_paused pg1": 1 },
    after: "61m",
    fires: [
      {
        severity: "warning",
        says: "shop has been paused for an hour: a primary that dies is not replaced.",
      },
    ],
  },
  {
    alert: "PatroniPaused",
    when: "for a piece of work",
    series: { "patroni_is_paused pg1": 1 },
    after: "20m",
    fires: [],
  },
  {
    alert: "PendingRestart",
    when: "for more than an hour",
    series: { "patroni_pending_restart pg1": 1 },
    after: "61m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1"),
        says: "pg1 of shop runs with other settings than its configuration says.",
      },
    ],
  },
  {
    alert: "PendingRestart",
    when: "none waits",
    series: { "patroni_pending_restart pg1": 0 },
    after: "61m",
    fires: [],
  },
  {
    alert: "PgBouncerDown",
    when: "its console does not answer",
    series: { "pgbouncer_up pgbouncer1": 0 },
    after: "90s",
    fires: [
      {
        severity: "critical",
        labels: shop("pgbouncer1"),
        says: "Nobody reaches PgBouncer on pgbouncer1 of shop; its clients don't get in.",
      },
    ],
    goneFires: [
      {
        severity: "critical",
        labels: shop("pgbouncer1"),
        says: "Nobody reaches PgBouncer on pgbouncer1 of shop; its clients don't get in.",
      },
    ],
  },
  {
    alert: "PgBouncerDown",
    when: "it answers",
    series: { "pgbouncer_up pgbouncer1": 1 },
    after: "5m",
    fires: [],
  },
  {
    alert: "PgBouncerPaused",
    when: "somebody forgot it",
    series: { "pgbouncer_databases_paused pgbouncer1 database=app name=app": 1 },
    after: "6m",
    fires: [
      {
        severity: "critical",
        labels: shop("pgbouncer1", { database: "app" }),
        says: "app has been paused in pgbouncer1 of shop for five minutes; its clients wait.",
      },
    ],
  },
  {
    alert: "PgBouncerPaused",
    when: "a switchover pauses it for a moment",
    series: { "- pgbouncer_databases_paused pgbouncer1 database=app": "0x4 1x4 0x20" },
    after: "6m",
    fires: [],
  },

  // Store
  {
    alert: "EtcdMemberDown",
    when: "one of three",
    series: { "up etcd1 job=etcd": 0, "up etcd2 job=etcd": 1, "up etcd3 job=etcd": 1 },
    after: "90s",
    fires: [
      {
        severity: "warning",
        labels: shop("etcd1"),
        says: "etcd on etcd1 of shop does not answer. When a majority is gone, there is no failover.",
      },
    ],
  },
  {
    alert: "EtcdMemberDown",
    when: "all answer",
    series: { "up etcd1 job=etcd": 1, "up etcd2 job=etcd": 1 },
    after: "5m",
    fires: [],
  },
  {
    alert: "EtcdQuorumLost",
    when: "two of three are gone",
    series: { "up etcd1 job=etcd": 0, "up etcd2 job=etcd": 0, "up etcd3 job=etcd": 1 },
    after: "60s",
    fires: [
      {
        severity: "critical",
        says: "The store of shop takes no writes: there will be no failover.",
      },
    ],
  },
  {
    alert: "EtcdQuorumLost",
    when: "all run, and none sees a leader",
    series: {
      "etcd_server_has_leader etcd1": 0,
      "etcd_server_has_leader etcd2": 0,
      "etcd_server_has_leader etcd3": 0,
    },
    after: "60s",
    fires: [
      {
        severity: "critical",
        says: "The store of shop takes no writes: there will be no failover.",
      },
    ],
    goneFires: [
      {
        severity: "critical",
        says: "The store of shop takes no writes: there will be no failover.",
      },
    ],
  },
  {
    alert: "EtcdQuorumLost",
    when: "one of three is cut off",
    series: {
      "etcd_server_has_leader etcd1": 0,
      "etcd_server_has_leader etcd2": 1,
      "etcd_server_has_leader etcd3": 1,
    },
    after: "5m",
    fires: [],
  },
  {
    alert: "EtcdSlow",
    when: "syncs take between 250 and 500 ms",
    series: {
      "etcd_disk_wal_fsync_duration_seconds_bucket etcd1 le=0.25": 0,
      "etcd_disk_wal_fsync_duration_seconds_bucket etcd1 le=0.5": "0+100",
      "etcd_disk_wal_fsync_duration_seconds_bucket etcd1 le=+Inf": "0+100",
    },
    after: "16m",
    fires: [
      {
        severity: "warning",
        labels: shop("etcd1"),
        says: "One of a hundred syncs of etcd on etcd1 of shop takes 497.5ms or longer.",
      },
    ],
  },
  {
    alert: "EtcdSlow",
    when: "syncs take a second",
    series: {
      "etcd_disk_wal_fsync_duration_seconds_bucket etcd1 le=0.5": 0,
      "etcd_disk_wal_fsync_duration_seconds_bucket etcd1 le=1": "0+100",
      "etcd_disk_wal_fsync_duration_seconds_bucket etcd1 le=+Inf": "0+100",
    },
    after: "16m",
    fires: [
      {
        severity: "warning",
        labels: shop("etcd1"),
        says: "One of a hundred syncs of etcd on etcd1 of shop takes 995ms or longer.",
      },
      {
        severity: "critical",
        labels: shop("etcd1"),
        says: "One of a hundred syncs of etcd on etcd1 of shop takes 995ms or longer. Leaders are lost by this.",
      },
    ],
  },
  {
    alert: "EtcdSlow",
    when: "syncs take 4 ms",
    series: {
      "etcd_disk_wal_fsync_duration_seconds_bucket etcd1 le=0.004": "0+100",
      "etcd_disk_wal_fsync_duration_seconds_bucket etcd1 le=+Inf": "0+100",
    },
    after: "16m",
    fires: [],
  },
  {
    alert: "EtcdSpace",
    when: "nine tenths are used",
    series: {
      "etcd_mvcc_db_total_size_in_bytes etcd1": 1_800_000_000,
      "etcd_server_quota_backend_bytes etcd1": 2_000_000_000,
    },
    after: "11m",
    fires: [
      {
        severity: "warning",
        labels: shop("etcd1"),
        says: "etcd on etcd1 of shop has used 90 % of its quota; a full one takes no writes.",
      },
    ],
  },
  {
    alert: "EtcdSpace",
    when: "half is used",
    series: {
      "etcd_mvcc_db_total_size_in_bytes etcd1": 1_000_000_000,
      "etcd_server_quota_backend_bytes etcd1": 2_000_000_000,
    },
    after: "11m",
    fires: [],
  },

  // Disk
  {
    alert: "DiskUsed",
    when: "85 %, from inside of the node",
    series: {
      "pgdba_disk_avail_bytes pg1 mountpoint=/data": 15e9,
      "pgdba_disk_size_bytes pg1 mountpoint=/data": 100e9,
      // The machine below has room; the node's own figure counts.
      "node_filesystem_avail_bytes pg1 mountpoint=/ fstype=ext4": 90e9,
      "node_filesystem_size_bytes pg1 mountpoint=/ fstype=ext4": 100e9,
    },
    after: "3m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1", { mountpoint: "/data" }),
        says: "/data on pg1 of shop is 85 % full.",
      },
    ],
  },
  {
    alert: "DiskUsed",
    when: "95 %, where only node_exporter looks",
    series: {
      "node_filesystem_avail_bytes pg1 mountpoint=/data fstype=xfs": 5e9,
      "node_filesystem_size_bytes pg1 mountpoint=/data fstype=xfs": 100e9,
      "node_filesystem_avail_bytes pg1 mountpoint=/run fstype=tmpfs": 0,
      "node_filesystem_size_bytes pg1 mountpoint=/run fstype=tmpfs": 1e9,
    },
    after: "3m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1", { mountpoint: "/data" }),
        says: "/data on pg1 of shop is 95 % full.",
      },
      {
        severity: "critical",
        labels: shop("pg1", { mountpoint: "/data" }),
        says: "/data on pg1 of shop is 95 % full. A server whose WAL has no room stops.",
      },
    ],
  },
  {
    alert: "DiskUsed",
    when: "79 %",
    series: {
      "pgdba_disk_avail_bytes pg1 mountpoint=/data": 21e9,
      "pgdba_disk_size_bytes pg1 mountpoint=/data": 100e9,
    },
    after: "10m",
    fires: [],
  },
  {
    alert: "DiskFillsSoon",
    when: "20 GB are left, and 10 GB go in an hour",
    series: {
      "pgdba_disk_avail_bytes pg1 mountpoint=/data": "30e9-41666666",
      "pgdba_disk_size_bytes pg1 mountpoint=/data": 100e9,
    },
    after: "60m",
    gone: "80m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1", { mountpoint: "/data" }),
        says: "/data on pg1 of shop fills so fast that it is full within four hours.",
      },
    ],
  },
  {
    alert: "DiskFillsSoon",
    when: "a copy is made onto a disk that is mostly empty",
    series: {
      "pgdba_disk_avail_bytes pg1 mountpoint=/data": "70e9-83333333",
      "pgdba_disk_size_bytes pg1 mountpoint=/data": 100e9,
    },
    after: "60m",
    fires: [],
  },

  // Health
  {
    alert: "ChecksumFailures",
    when: "the check found some",
    series: { "pgdba_check_state shop check=checksum-failures group=availability": 3 },
    after: "30s",
    fires: [
      {
        severity: "critical",
        labels: shop("shop"),
        says: "Pages of shop are damaged on disk.",
      },
    ],
  },
  {
    alert: "ChecksumFailures",
    when: "it found none",
    series: { "pgdba_check_state shop check=checksum-failures group=availability": 0 },
    after: "5m",
    fires: [],
  },
  {
    alert: "HealthCheckCritical",
    when: "fsync is off",
    series: {
      "pgdba_check_state shop check=fsync-off group=configuration": 3,
      "pgdba_check_state shop check=hba-trust group=security": 1,
    },
    after: "2m",
    fires: [
      {
        severity: "critical",
        labels: shop("shop", { check: "fsync-off" }),
        says: "The check fsync-off found something critical on shop.",
      },
    ],
  },
  {
    alert: "HealthCheckCritical",
    when: "a check with an alert of its own, and warnings",
    series: {
      "pgdba_check_state shop check=lock-waits group=locks": 3,
      "pgdba_check_state shop check=fsync-off group=configuration": 2,
    },
    after: "5m",
    fires: [],
  },
  {
    alert: "PgdbaBlind",
    when: "the checks don't end",
    series: { "pgdba_source_up shop source=checks": 0, "pgdba_source_up shop source=locks": 1 },
    after: "6m",
    fires: [
      {
        severity: "warning",
        labels: shop("shop", { source: "checks" }),
        says: "pgdba has had no answer about checks of shop for five minutes. Alerts that need it stay silent.",
      },
    ],
  },
  {
    alert: "PgdbaBlind",
    when: "one refresh failed",
    series: { "- pgdba_source_up shop source=checks": "1x10 0x4 1x20" },
    after: "8m",
    fires: [],
  },
  {
    alert: "FaultInForce",
    when: "a drill left two",
    series: { "pgdba_faults_in_force shop": 2 },
    after: "61m",
    fires: [
      {
        severity: "warning",
        says: "2 faults that drills have made in shop have not been taken back for an hour.",
      },
    ],
  },
  {
    alert: "FaultInForce",
    when: "a drill goes on",
    series: { "pgdba_faults_in_force shop": 1 },
    after: "20m",
    fires: [],
  },
  {
    alert: "CertificateExpires",
    when: "in ten days",
    series: {
      "pgdba_certificate_expiry_timestamp_seconds pg1 service=patroni": 10 * DAY + 600,
      "pgdba_certificate_expiry_timestamp_seconds pg1 service=postgres": 300 * DAY,
    },
    after: "10m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1", { service: "patroni" }),
        says: "The certificate of patroni on pg1 of shop ends in 10d 0h 0m 0s.",
      },
    ],
  },
  {
    alert: "CertificateExpires",
    when: "in two days",
    series: { "pgdba_certificate_expiry_timestamp_seconds pg1 service=postgres": 2 * DAY + 600 },
    after: "10m",
    fires: [
      {
        severity: "warning",
        labels: shop("pg1", { service: "postgres" }),
        says: "The certificate of postgres on pg1 of shop ends in 2d 0h 0m 0s.",
      },
      {
        severity: "critical",
        labels: shop("pg1", { service: "postgres" }),
        says: "The certificate of postgres on pg1 of shop ends in 2d 0h 0m 0s. Then nobody gets in.",
      },
    ],
  },
  {
    alert: "CertificateExpires",
    when: "in a year",
    series: { "pgdba_certificate_expiry_timestamp_seconds pg1 service=postgres": 365 * DAY },
    after: "10m",
    fires: [],
  },

  // Monitoring itself
  {
    alert: "Watchdog",
    when: "always",
    series: { "pg_up pg1": 1 },
    after: "30s",
    fires: [
      {
        severity: "none",
        labels: { cluster: "" },
        says: "This alert always fires. When it stops, the way from Prometheus to you is broken.",
      },
    ],
    goneFires: [
      {
        severity: "none",
        labels: { cluster: "" },
        says: "This alert always fires. When it stops, the way from Prometheus to you is broken.",
      },
    ],
  },
  {
    alert: "NothingMonitored",
    when: "there is no target",
    series: { "up etcd1 job=etcd": 1 },
    after: "3m",
    fires: [
      {
        severity: "critical",
        labels: { cluster: "" },
        says: "Prometheus has no target that is a server, so that no alert can fire.",
      },
    ],
  },
  {
    alert: "NothingMonitored",
    when: "all targets are down",
    series: { "up pg1 job=postgres": 0 },
    after: "5m",
    fires: [],
  },
  {
    alert: "ThresholdsMissing",
    when: "they are there",
    series: { "pg_up pg1": 1 },
    after: "5m",
    fires: [],
  },
  {
    alert: "PrometheusConfigBroken",
    when: "a reload failed",
    series: { "prometheus_config_last_reload_successful monitor1": 0 },
    after: "2m",
    fires: [
      {
        severity: "critical",
        labels: { cluster: "", instance: "monitor1" },
        says: "Prometheus on monitor1 could not read its configuration; its log says why.",
      },
    ],
  },
  {
    alert: "PrometheusConfigBroken",
    when: "it was read",
    series: { "prometheus_config_last_reload_successful monitor1": 1 },
    after: "2m",
    fires: [],
  },
  {
    alert: "RulesFail",
    when: "a rule fails each time",
    series: { "prometheus_rule_evaluation_failures_total monitor1 rule_group=lag": "0+1" },
    after: "5m",
    fires: [
      {
        severity: "critical",
        labels: { cluster: "", instance: "monitor1", rule_group: "lag" },
        says: "Rules of lag fail on monitor1; Prometheus's log says why.",
      },
    ],
  },
  {
    alert: "RulesFail",
    when: "one failed long ago",
    series: { "prometheus_rule_evaluation_failures_total monitor1 rule_group=lag": 3 },
    after: "10m",
    fires: [],
  },
  {
    alert: "AlertsNotDelivered",
    when: "Alertmanager refuses them",
    series: {
      "prometheus_notifications_dropped_total monitor1": "0+1",
      "prometheus_notifications_sent_total monitor1": "0+1",
    },
    after: "11m",
    fires: [
      {
        severity: "critical",
        labels: { cluster: "", instance: "monitor1" },
        says: "Prometheus on monitor1 can't hand its alerts over.",
      },
    ],
  },
  {
    alert: "AlertsNotDelivered",
    when: "it knows no Alertmanager",
    series: { "prometheus_notifications_dropped_total monitor1": "0+1" },
    after: "11m",
    fires: [
      {
        severity: "critical",
        labels: { cluster: "", instance: "monitor1" },
        says: "Prometheus on monitor1 can't hand its alerts over.",
      },
    ],
  },
  {
    alert: "AlertsNotDelivered",
    when: "one in four is dropped, for its files are read again every minute",
    series: {
      "prometheus_notifications_dropped_total monitor1": "0+1",
      "prometheus_notifications_sent_total monitor1": "0+4",
    },
    after: "11m",
    fires: [],
  },
  {
    alert: "AlertsNotDelivered",
    when: "all arrive",
    series: {
      "prometheus_notifications_dropped_total monitor1": 0,
      "prometheus_notifications_sent_total monitor1": "0+1",
    },
    after: "11m",
    fires: [],
  },
];
