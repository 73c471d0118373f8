import { C, dashboard, graph, I, limits, q, states, valueMap } from "./panels.ts";

const YES = valueMap({
  "0": { text: "no", color: "red" },
  "1": { text: "yes", color: "green" },
});
/** A standby, as Patroni tells it. */
const REPLICA = `max by (instance) (patroni_replica{${I}}) == 1`;
/** In asynchronous replication there is none: that is no fault. */
const SYNCHRONOUS = valueMap({
  "0": { text: "asynchronous", color: "blue" },
  "1": { text: "synchronous", color: "green" },
});
const PAUSED = valueMap({
  "0": { text: "replays", color: "green" },
  "1": { text: "paused", color: "orange" },
});

export default dashboard(
  "pgdba-replication",
  {
    title: "PostgreSQL: replication",
    description:
      "Whether the standbys follow, what slots keep, and whether WAL reaches the archive",
  },
  {
    Lag: [
      graph(
        {
          title: "Lag in seconds",
          description:
            "Time since the last transaction that was replayed. It is 0 on a standby that is cut off: look at the receivers beside it",
          unit: "s",
        },
        [
          q(`max by (instance) (pgdba:replication_lag:seconds{${I}})`),
          ...limits("replication-lag", "warning", "critical"),
        ],
        { small: 0.1 },
      ),
      graph(
        {
          title: "Lag in bytes",
          description: "WAL that a standby has not replayed yet, measured on the primary",
          unit: "bytes",
        },
        [
          q(`max by (instance) (pgdba:replication_lag:bytes{${I}})`),
          ...limits("replication-lag", "warning_bytes", "critical_bytes"),
        ],
        { small: 65_536 },
      ),
      graph({ title: "WAL written", description: "By the primary, per second", unit: "binBps" }, [
        q(
          `max by (instance) (rate(patroni_xlog_location{${I}}[$__rate_interval])) and on (instance) max by (instance) (patroni_primary{${I}}) == 1`,
        ),
      ]),
      graph({ title: "WAL replayed", description: "By the standbys, per second", unit: "binBps" }, [
        q(
          `max by (instance) (rate(patroni_xlog_replayed_location{${I}}[$__rate_interval])) and on (instance) ${REPLICA}`,
        ),
      ]),
    ],
    Standbys: [
      graph(
        {
          title: "Standbys that stream",
          description: "As the primary sees it, beside how many there should be",
          unit: "none",
        },
        [
          q(`max by (cluster) (pgdba:standbys_streaming{${C}})`, "streaming"),
          q(`max by (cluster) (pgdba:standbys_expected{${C}})`, "expected"),
        ],
      ),
      states(
        {
          title: "Receivers",
          description: "Whether a standby receives WAL from its upstream at this moment",
          unit: "none",
        },
        [
          q(
            `max by (instance) (pg_stat_wal_receiver_received_tli{status="streaming",${I}}) > bool 0`,
          ),
        ],
        YES,
      ),
      states(
        {
          title: "Synchronous standbys",
          description: "Members whose confirmation commits wait for, as Patroni tells it",
          unit: "none",
        },
        [q(`max by (instance) (patroni_sync_standby{${I}}) and on (instance) ${REPLICA}`)],
        SYNCHRONOUS,
      ),
      states(
        {
          title: "Replay",
          description: "A standby whose replay is paused receives WAL and shows old data",
          unit: "none",
        },
        [q(`max by (instance) (patroni_xlog_paused{${I}}) and on (instance) ${REPLICA}`)],
        PAUSED,
      ),
    ],
    Slots: [
      graph(
        {
          title: "WAL kept by slots",
          description: "A slot without a consumer keeps WAL until the disk is full",
          unit: "bytes",
        },
        [
          q(
            `max by (instance, slot_name) (pgdba:slot_retained:bytes{${I}})`,
            "{{slot_name}} on {{instance}}",
          ),
          ...limits("slot-wal-retained", "warning_bytes", "critical_bytes"),
        ],
        { small: 1_048_576 },
      ),
      states(
        {
          title: "Slots in use",
          description:
            "Of the primary: one that nobody reads from keeps WAL until the disk is full",
          unit: "none",
        },
        [
          q(
            `max by (instance, slot_name) (pg_replication_slots_active{${I}}) and on (instance) max by (instance) (pg_replication_is_replica{${I}}) == 0`,
            "{{slot_name}} on {{instance}}",
          ),
        ],
        YES,
      ),
    ],
    "Archive of WAL": [
      graph(
        {
          title: "Archiver",
          description: "WAL files archived, and attempts that failed, per minute",
          unit: "cpm",
        },
        [
          q(
            `60 * sum by (instance) (rate(pg_stat_archiver_archived_count{${I}}[$__rate_interval]))`,
            "{{instance}} archived",
          ),
          q(
            `60 * sum by (instance) (rate(pg_stat_archiver_failed_count{${I}}[$__rate_interval]))`,
            "{{instance}} failed",
          ),
        ],
      ),
      graph(
        {
          title: "WAL files that wait",
          description: "Segments that the primary has still to archive",
          unit: "none",
        },
        [
          q(`max by (cluster) (pgdba_archive_waiting_segments{${C}})`, "waiting"),
          ...limits("archive-backlog", "warning", "critical"),
        ],
      ),
      graph(
        {
          title: "Age of the archive",
          description:
            "Time since the last WAL reached the repository. It grows on a primary that writes nothing",
          unit: "s",
        },
        [
          q(`max by (cluster) (pgdba_archive_wal_age_seconds{${C}})`, "last WAL"),
          ...limits("archive-stopped", "critical"),
        ],
      ),
      graph(
        {
          title: "Gaps of the archive",
          description:
            "Nothing can be restored to a moment behind a gap; `pgdba backup fill` brings what a server still has",
          unit: "none",
        },
        [
          q(`max by (cluster) (pgdba_archive_gaps{${C}})`, "gaps"),
          q(`max by (cluster) (pgdba_archive_missing_segments{${C}})`, "missing segments"),
        ],
      ),
    ],
  },
);
