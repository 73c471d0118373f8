import type { Alert, Case } from "./cases.ts";

const STANDBY = { "pg_replication_is_replica pg1": 0, "pg_replication_is_replica pg2": 1 };
const pg2 = (severity: string, says: string): Alert => ({
  severity,
  labels: { instance: "pg2" },
  says,
});
const slot = (severity: string, says: string): Alert => ({
  severity,
  labels: { instance: "pg1", slot_name: "old" },
  says,
});
const RECEIVES = {
  ...STANDBY,
  "pg_scrape_collector_success pg1 collector=stat_wal_receiver": 1,
  "pg_scrape_collector_success pg2 collector=stat_wal_receiver": 1,
};
const THREE = {
  "up pg1 job=patroni": 1,
  "up pg2 job=patroni": 1,
  "up pg3 job=patroni": 1,
  "pg_replication_is_replica pg1": 0,
};
const sender = (name: string, state = "streaming"): string =>
  `pg_stat_replication_pg_wal_lsn_diff pg1 application_name=${name} state=${state} slot_name=${name === "pg2" ? 11 : 12}`;

export const REPLICATION: Case[] = [
  {
    alert: "ReplicationLag",
    when: "45 s",
    series: {
      ...STANDBY,
      "pg_replication_lag_seconds pg2": 45,
      "pg_replication_lag_seconds pg1": 0,
    },
    after: "60s",
    fires: [pg2("warning", "pg2 of shop is 45s behind.")],
  },
  {
    alert: "ReplicationLag",
    when: "90 s",
    series: { ...STANDBY, "pg_replication_lag_seconds pg2": 90 },
    after: "60s",
    fires: [
      pg2("warning", "pg2 of shop is 1m 30s behind."),
      pg2("critical", "pg2 of shop is 1m 30s behind."),
    ],
  },
  {
    alert: "ReplicationLag",
    when: "29 s, and a former standby whose last figure is old",
    series: {
      ...STANDBY,
      "pg_replication_lag_seconds pg2": 29,
      "pg_replication_lag_seconds pg1": 3600,
    },
    after: "10m",
    fires: [],
  },
  {
    alert: "ReplicationLagBytes",
    when: "1 GiB, as the primary sees it",
    series: { [sender("pg2")]: 1_073_741_824 },
    after: "2m",
    fires: [pg2("warning", "pg2 of shop has 1GiB of WAL still to replay.")],
  },
  {
    alert: "ReplicationLagBytes",
    when: "8 GiB, of a standby that is cut off: only pgdba measures it",
    series: { "pgdba_member_lag_bytes pg2": 8_589_934_592 },
    after: "2m",
    fires: [
      pg2("warning", "pg2 of shop has 8GiB of WAL still to replay."),
      pg2("critical", "pg2 of shop has 8GiB of WAL still to replay."),
    ],
  },
  {
    alert: "ReplicationLagBytes",
    when: "little is missing; a base backup is under way",
    series: { [sender("pg2")]: 1_000_000, [sender("pg_basebackup", "backup")]: 9_000_000_000 },
    after: "5m",
    fires: [],
  },
  {
    alert: "StandbyNotReceiving",
    when: "it has no receiver, and its lag is 0 s",
    series: { ...RECEIVES, "pg_replication_lag_seconds pg2": 0 },
    after: "90s",
    fires: [
      pg2("critical", "pg2 of shop does not stream. Its lag in seconds says nothing meanwhile."),
    ],
  },
  {
    alert: "StandbyNotReceiving",
    when: "its receiver waits",
    series: { ...RECEIVES, "pg_stat_wal_receiver_received_tli pg2 status=waiting": 3 },
    after: "90s",
    fires: [
      pg2("critical", "pg2 of shop does not stream. Its lag in seconds says nothing meanwhile."),
    ],
  },
  {
    alert: "StandbyNotReceiving",
    when: "it streams",
    series: { ...RECEIVES, "pg_stat_wal_receiver_received_tli pg2 status=streaming": 3 },
    after: "10m",
    fires: [],
  },
  {
    alert: "StandbyNotReceiving",
    when: "the exporter could not look",
    series: { ...STANDBY, "pg_scrape_collector_success pg2 collector=stat_wal_receiver": 0 },
    after: "10m",
    fires: [],
  },
  {
    alert: "StandbysMissing",
    when: "one of two streams; a program that receives WAL is no standby",
    series: { ...THREE, [sender("pg2")]: 0, [sender("receiver")]: 0 },
    after: "3m",
    fires: [{ severity: "warning", says: "1 standbys of shop stream, fewer than it has." }],
  },
  {
    alert: "StandbysMissing",
    when: "none streams",
    series: THREE,
    after: "3m",
    fires: [
      { severity: "warning", says: "0 standbys of shop stream, fewer than it has." },
      {
        severity: "critical",
        says: "No standby of shop streams: when the primary dies, data is lost and nobody takes over.",
      },
    ],
  },
  {
    alert: "StandbysMissing",
    when: "both stream",
    series: { ...THREE, [sender("pg2")]: 0, [sender("pg3")]: 0 },
    after: "10m",
    fires: [],
  },
  {
    alert: "StandbysMissing",
    when: "a cluster of one",
    series: { "up pg1 job=patroni": 1, "pg_replication_is_replica pg1": 0 },
    after: "10m",
    fires: [],
  },
  {
    alert: "SyncStandbysShort",
    when: "commits wait",
    series: { "pgdba_check_state shop check=sync-standbys-short group=replication": 3 },
    after: "30s",
    fires: [
      {
        severity: "critical",
        labels: { instance: "shop" },
        says: "Commits on shop wait for standbys that are not there.",
      },
    ],
  },
  {
    alert: "SyncStandbysShort",
    when: "there are just enough",
    series: { "pgdba_check_state shop check=sync-standbys-short group=replication": 2 },
    after: "5m",
    fires: [],
  },
  {
    alert: "ReplayPaused",
    when: "for more than ten minutes",
    series: { "patroni_xlog_paused pg2": 1, "patroni_replica pg2": 1 },
    after: "11m",
    fires: [pg2("warning", "pg2 of shop receives WAL and does not replay it.")],
  },
  {
    alert: "ReplayPaused",
    when: "it replays",
    series: { "patroni_xlog_paused pg2": 0, "patroni_replica pg2": 1 },
    after: "11m",
    fires: [],
  },
  {
    alert: "StandbyOnOldTimeline",
    when: "the leader went on without it",
    series: { "patroni_postgres_timeline pg1": 5, "patroni_postgres_timeline pg2": 4 },
    after: "6m",
    fires: [pg2("warning", "pg2 of shop is still on timeline 4. It does not follow the primary.")],
  },
  {
    alert: "StandbyOnOldTimeline",
    when: "all are on one; a member that starts knows none",
    series: {
      "patroni_postgres_timeline pg1": 5,
      "patroni_postgres_timeline pg2": 5,
      "patroni_postgres_timeline pg3": 0,
    },
    after: "10m",
    fires: [],
  },
  {
    alert: "SlotInactive",
    when: "it keeps 200 MB",
    series: {
      ...STANDBY,
      "pg_replication_slots_active pg1 slot_name=old": 0,
      "pg_replication_slots_pg_wal_lsn_diff pg1 slot_name=old": 209_715_200,
    },
    after: "16m",
    fires: [slot("warning", "Nobody uses the slot old of pg1 of shop, and it keeps WAL.")],
  },
  {
    alert: "SlotInactive",
    when: "it is in use, keeps little, or is a standby's for others",
    series: {
      ...STANDBY,
      "pg_replication_slots_active pg1 slot_name=old": 1,
      "pg_replication_slots_pg_wal_lsn_diff pg1 slot_name=old": 209_715_200,
      "pg_replication_slots_active pg1 slot_name=new": 0,
      "pg_replication_slots_pg_wal_lsn_diff pg1 slot_name=new": 1_000_000,
      "pg_replication_slots_active pg2 slot_name=pg1": 0,
      "pg_replication_slots_pg_wal_lsn_diff pg2 slot_name=pg1": 209_715_200,
    },
    after: "20m",
    fires: [],
  },
  {
    alert: "SlotWalRetained",
    when: "2 GiB",
    series: {
      ...STANDBY,
      "pg_replication_slots_pg_wal_lsn_diff pg1 slot_name=old": 2_147_483_648,
    },
    after: "6m",
    fires: [slot("warning", "The slot old of pg1 of shop keeps 2GiB of WAL.")],
  },
  {
    alert: "SlotWalRetained",
    when: "16 GiB",
    series: {
      ...STANDBY,
      "pg_replication_slots_pg_wal_lsn_diff pg1 slot_name=old": 17_179_869_184,
    },
    after: "6m",
    fires: [
      slot("warning", "The slot old of pg1 of shop keeps 16GiB of WAL."),
      slot("critical", "The slot old of pg1 of shop keeps 16GiB of WAL."),
    ],
  },
  {
    alert: "SlotWalRetained",
    when: "half a GiB",
    series: { ...STANDBY, "pg_replication_slots_pg_wal_lsn_diff pg1 slot_name=old": 536_870_912 },
    after: "10m",
    fires: [],
  },
  {
    alert: "SlotLost",
    when: "it is about to be",
    series: { "pg_replication_slot_wal_status pg1 slot_name=old wal_status=unreserved": 1 },
    after: "90s",
    fires: [
      slot(
        "warning",
        "The slot old of pg1 of shop is about to lose the WAL that its consumer needs.",
      ),
    ],
  },
  {
    alert: "SlotLost",
    when: "it is, by the newer name",
    series: { "pg_replication_slots_wal_status pg1 slot_name=old wal_status=lost": 1 },
    after: "90s",
    fires: [
      slot(
        "critical",
        "The consumer of the slot old of pg1 of shop can't go on: the WAL that it needs is gone.",
      ),
    ],
  },
  {
    alert: "SlotLost",
    when: "its WAL is reserved",
    series: { "pg_replication_slot_wal_status pg1 slot_name=old wal_status=reserved": 1 },
    after: "10m",
    fires: [],
  },
];
