import type { Alert, Case } from "./cases.ts";

const one = (severity: string, says: string): Alert => ({ severity, says });
const FAILS: Alert = {
  severity: "critical",
  labels: { instance: "pg1" },
  says: "The archiver of pg1 of shop fails, and has had no success for two minutes. WAL piles up meanwhile.",
};

export const BACKUP: Case[] = [
  {
    alert: "ArchiveFailing",
    when: "it fails, and the last success is ten minutes ago",
    series: {
      "pg_stat_archiver_failed_count pg1": "0+1",
      "pg_stat_archiver_last_archive_age pg1": "600+15",
    },
    after: "3m",
    fires: [FAILS],
  },
  {
    alert: "ArchiveFailing",
    when: "it fails, and never had a success",
    series: {
      "pg_stat_archiver_failed_count pg1": "0+1",
      "- pg_stat_archiver_last_archive_age pg1":
        "NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN NaN stale",
    },
    after: "3m",
    fires: [FAILS],
  },
  {
    alert: "ArchiveFailing",
    when: "nothing is written, so that nothing is archived",
    series: {
      "pg_stat_archiver_failed_count pg1": 7,
      "pg_stat_archiver_last_archive_age pg1": "600+15",
    },
    after: "10m",
    fires: [],
  },
  {
    alert: "ArchiveFailing",
    when: "a few failures between successes",
    series: {
      "pg_stat_archiver_failed_count pg1": "0+1",
      "pg_stat_archiver_last_archive_age pg1": 20,
    },
    after: "10m",
    fires: [],
  },
  {
    alert: "ArchiveFailing",
    when: "it failed, goes on, and nothing is written after that",
    series: {
      "- pg_stat_archiver_failed_count pg1": "0+1x12 12x40",
      "- pg_stat_archiver_last_archive_age pg1": "600+15x12 5+15x40",
    },
    after: "7m",
    fires: [],
  },
  {
    alert: "ArchiveStopped",
    when: "the primary writes, and nothing arrives",
    series: {
      "pgdba_archive_wal_age_seconds shop": "1000+15",
      "patroni_xlog_location pg1": "0+1000000",
      "patroni_primary pg1": 1,
    },
    after: "30m",
    gone: "40m",
    fires: [
      one(
        "critical",
        "The last WAL of shop reached its repository 46m 40s ago, and the primary writes on.",
      ),
    ],
  },
  {
    alert: "ArchiveStopped",
    when: "the primary is idle",
    series: {
      "pgdba_archive_wal_age_seconds shop": "1000+15",
      "patroni_xlog_location pg1": "0+1000",
      "patroni_primary pg1": 1,
    },
    after: "40m",
    fires: [],
  },
  ...(
    [
      [20, ["warning"]],
      [80, ["warning", "critical"]],
    ] as const
  ).map(([count, severities]): Case => ({
    alert: "ArchiveBacklog",
    when: `${count} files`,
    series: { "pgdba_archive_waiting_segments shop": count },
    after: "6m",
    fires: severities.map((severity) =>
      one(severity, `${count} WAL files of shop wait to be archived.`),
    ),
  })),
  {
    alert: "ArchiveBacklog",
    when: "two files",
    series: { "pgdba_archive_waiting_segments shop": 2 },
    after: "10m",
    fires: [],
  },
  {
    alert: "ArchiveGap",
    when: "one that stays",
    series: { "pgdba_archive_gaps shop": 1 },
    after: "11m",
    fires: [
      one(
        "critical",
        "The archive of shop has 1 gaps: nothing can be restored to a moment behind one of them.",
      ),
    ],
  },
  {
    alert: "ArchiveGap",
    when: "one that is filled",
    series: { "- pgdba_archive_gaps shop": "0x4 1x20 0x40" },
    after: "15m",
    fires: [],
  },
  {
    alert: "BackupStale",
    when: "the last one was a day and a half ago; a dump is no backup of the cluster",
    series: {
      "pgdba_backup_last_success_timestamp_seconds shop type=full": -129_600,
      "pgdba_backup_last_success_timestamp_seconds shop type=logical": 0,
    },
    after: "6m",
    fires: [one("critical", "The newest backup of shop was finished 1d 12h 6m 0s ago.")],
  },
  {
    alert: "BackupStale",
    when: "the full one is old, and the increment of last night is not",
    series: {
      "pgdba_backup_last_success_timestamp_seconds shop type=full": -500_000,
      "pgdba_backup_last_success_timestamp_seconds shop type=incremental": -40_000,
    },
    after: "6m",
    fires: [],
  },
  {
    alert: "NoBackup",
    when: "the repository is empty",
    series: { "pgdba_backups shop type=full": 0, "pgdba_backups shop type=logical": 3 },
    after: "61m",
    fires: [one("critical", "The repository of shop holds no backup that can be restored.")],
  },
  {
    alert: "NoBackup",
    when: "there is one",
    series: { "pgdba_backups shop type=full": 1 },
    after: "61m",
    fires: [],
  },
  {
    alert: "BackupUnfinished",
    when: "for more than twelve hours",
    series: { "pgdba_backups_unfinished shop": 1 },
    every: "4m",
    after: "12h5m",
    fires: [
      one(
        "warning",
        "1 backups of shop have been unfinished for twelve hours; they were cut off, or are too slow.",
      ),
    ],
  },
  {
    alert: "BackupUnfinished",
    when: "one is taken",
    series: { "pgdba_backups_unfinished shop": 1 },
    after: "2h",
    fires: [],
  },
  {
    alert: "RepositoryUnreachable",
    when: "for more than 15 minutes",
    series: { "pgdba_source_up shop source=backups": 0 },
    after: "16m",
    fires: [
      one(
        "critical",
        "pgdba has not reached the repository of shop for 15 minutes. Nothing can be backed up or restored meanwhile.",
      ),
    ],
  },
  {
    alert: "RepositoryUnreachable",
    when: "it answers",
    series: { "pgdba_source_up shop source=backups": 1 },
    after: "30m",
    fires: [],
  },
  {
    alert: "DrillFailed",
    when: "the last one did",
    series: { "pgdba_restore_drill_last_passed shop": 0 },
    after: "30s",
    fires: [one("critical", "A backup of shop could not be restored when it was tried.")],
  },
  {
    alert: "DrillFailed",
    when: "it passed",
    series: { "pgdba_restore_drill_last_passed shop": 1 },
    after: "5m",
    fires: [],
  },
  {
    alert: "DrillStale",
    when: "nine days ago",
    series: { "pgdba_restore_drill_last_success_timestamp_seconds shop": -777_600 },
    after: "6m",
    fires: [one("warning", "A backup of shop was last restored for a test 9d 0h 6m 0s ago.")],
  },
  {
    alert: "DrillStale",
    when: "yesterday",
    series: { "pgdba_restore_drill_last_success_timestamp_seconds shop": -86_400 },
    after: "6m",
    fires: [],
  },
  {
    alert: "DrillNever",
    when: "a day after the first backup",
    series: { "pgdba_backups shop type=full": 2 },
    every: "4m",
    after: "24h5m",
    fires: [one("warning", "shop has 2 backups, and none was ever restored for a test.")],
  },
  {
    alert: "DrillNever",
    when: "one has passed",
    series: {
      "pgdba_backups shop type=full": 2,
      "pgdba_restore_drill_last_success_timestamp_seconds shop": 0,
    },
    every: "4m",
    after: "24h5m",
    fires: [],
  },
];
