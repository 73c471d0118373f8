import {
  C,
  dashboard,
  figure,
  graph,
  I,
  limits,
  longestLockWait,
  q,
  states,
  table,
  valueMap,
} from "./panels.ts";

const GOOD_IF_ONE = [
  { value: null as unknown as number, color: "red" },
  { value: 1, color: "green" },
  { value: 2, color: "red" },
];
const RED_FROM_ONE = [
  { value: null as unknown as number, color: "green" },
  { value: 1, color: "red" },
];
const ANSWERS = valueMap({
  "0": { text: "no", color: "red" },
  "1": { text: "yes", color: "green" },
});
const ROLE = valueMap({
  "0": { text: "standby", color: "blue" },
  "1": { text: "primary", color: "green" },
});

export default dashboard(
  "pgdba-cluster-overview",
  {
    title: "PostgreSQL: cluster",
    description: "Who leads, whether all is well, and whether the cluster can be brought back",
  },
  {
    Now: [
      figure(
        {
          title: "Leader",
          description: "The member that Patroni calls primary, or leader of a standby cluster",
          unit: "none",
        },
        q(`max by (instance) (patroni_primary{${C}} == 1 or patroni_standby_leader{${C}} == 1)`),
        { names: true },
      ),
      figure(
        {
          title: "Members that take writes",
          description: "It must be one: with none nobody can write, with two data is lost",
          unit: "none",
        },
        q(
          `max(pgdba_cluster_members_writable{${C}}) or count(max by (instance) (pg_replication_is_replica{${C}}) == 0)`,
          "writable",
        ),
        { steps: GOOD_IF_ONE },
      ),
      figure(
        {
          title: "Members that answer",
          description: "Servers that postgres_exporter reaches, of those that are known",
          unit: "percentunit",
        },
        q(`sum(pg_up{${C}}) / count(count by (instance) (up{job="postgres",${C}}))`, "up"),
        {
          steps: [
            { value: null as unknown as number, color: "red" },
            { value: 1, color: "green" },
          ],
        },
      ),
      figure(
        {
          title: "Alerts that fire",
          description: "Of this cluster, and of the monitoring itself; the watchdog is not counted",
          unit: "none",
        },
        q(
          `count(ALERTS{alertstate="firing",alertname!="Watchdog",cluster=~"$cluster|"}) or vector(0)`,
          "firing",
        ),
        { steps: RED_FROM_ONE },
      ),
      figure(
        {
          title: "Age of the newest backup",
          description: "Of the newest one that can be restored, full or incremental",
          unit: "s",
        },
        q(
          `time() - max(pgdba_backup_last_success_timestamp_seconds{type!="logical",${C}})`,
          "backup",
        ),
      ),
      figure(
        {
          title: "Would be lost in a restore",
          description:
            "How far back from now the latest moment lies that the cluster can be brought back to",
          unit: "s",
        },
        q(`time() - max(pgdba_restorable_until_timestamp_seconds{${C}})`, "until"),
      ),
    ],
    Members: [
      table(
        {
          title: "Members",
          description: "Role, timeline, WAL that is not replayed yet and replay lag of each member",
          unit: "none",
        },
        [
          q(`max by (instance) (pg_up{${C}})`),
          q(`1 - max by (instance) (pg_replication_is_replica{${C}})`),
          q(`max by (instance) (patroni_postgres_timeline{${C}})`),
          q(`max by (instance) (pgdba:replication_lag:bytes{${C}})`),
          q(`max by (instance) (pgdba:replication_lag:seconds{${C}})`),
        ],
        [
          { id: "joinByField", options: { byField: "instance", mode: "outer" } },
          {
            id: "organize",
            options: {
              excludeByName: {
                Time: true,
                "Time 1": true,
                "Time 2": true,
                "Time 3": true,
                "Time 4": true,
                "Time 5": true,
              },
              renameByName: {
                instance: "Member",
                "Value #A": "Answers",
                "Value #B": "Role",
                "Value #C": "Timeline",
                "Value #D": "Bytes behind",
                "Value #E": "Seconds behind",
              },
            },
          },
        ],
        {
          columns: [
            { name: "Answers", mappings: ANSWERS },
            { name: "Role", mappings: ROLE },
            { name: "Bytes behind", unit: "bytes" },
            { name: "Seconds behind", unit: "s" },
          ],
        },
      ),
      table(
        {
          title: "Alerts",
          description:
            "Those that fire, of this cluster and of the monitoring itself. The watchdog always fires",
          unit: "none",
        },
        [q(`ALERTS{alertstate="firing",cluster=~"$cluster|"}`, "{{alertname}}")],
        [
          {
            id: "organize",
            options: {
              excludeByName: {
                Time: true,
                Value: true,
                __name__: true,
                alertstate: true,
                cluster: true,
              },
              renameByName: {
                alertname: "Alert",
                severity: "Severity",
                instance: "Member",
                check: "Check",
                collector: "Collector",
                datname: "Database",
                job: "Job",
                mountpoint: "Disk",
                service: "Service",
                slot_name: "Slot",
                source: "Source",
              },
            },
          },
        ],
      ),
      states(
        {
          title: "Roles",
          description: "Who was primary when, as Patroni tells it. Two at once is a split brain",
          unit: "none",
        },
        [q(`max by (instance) (patroni_primary{${I}})`)],
        ROLE,
      ),
      graph(
        {
          title: "Timelines",
          description: "Each promotion begins a new one. A member that stays below follows nobody",
          unit: "none",
        },
        [q(`max by (instance) (patroni_postgres_timeline{${I}})`)],
      ),
    ],
    "Load and limits": [
      graph(
        {
          title: "Transactions",
          description: "Committed and rolled back, per second",
          unit: "ops",
        },
        [
          q(
            `sum by (instance) (rate(pg_stat_database_xact_commit{${I}}[$__rate_interval]) + rate(pg_stat_database_xact_rollback{${I}}[$__rate_interval]))`,
          ),
        ],
      ),
      graph(
        {
          title: "Connections",
          description: "Share of the connections that ordinary roles may use",
          unit: "percent",
        },
        [
          q(`max by (instance) (pgdba:connections_used:percent{${I}})`),
          ...limits("connections-used", "warning", "critical"),
        ],
        { max: 100 },
      ),
      graph(
        {
          title: "Disks",
          description:
            "Used share of the file systems of data and WAL, seen from inside of the node",
          unit: "percent",
        },
        [
          q(
            `max by (instance, mountpoint) (pgdba:disk_used:percent{${I}})`,
            "{{instance}} {{mountpoint}}",
          ),
          ...limits("disk-used", "warning", "critical"),
        ],
        { max: 100 },
      ),
      longestLockWait(),
    ],
    "Health and safety": [
      graph(
        {
          title: "Findings of the health check",
          description: "By severity; `pgdba health check` tells what they are and what to do",
          unit: "none",
        },
        [q(`max by (severity) (pgdba_check_findings{${C}})`, "{{severity}}")],
      ),
      graph(
        {
          title: "Time since Patroni reached its store",
          description: "Above the ttl the leader gives up, unless all members answer it",
          unit: "s",
        },
        [
          q(`time() - max by (instance) (patroni_dcs_last_seen{${I}})`),
          ...limits("dcs-lost", "warning"),
        ],
      ),
      graph(
        {
          title: "Backups",
          description: "Age of the newest backup, by type; a dump can't bring back the cluster",
          unit: "s",
        },
        [
          q(
            `time() - max by (type) (pgdba_backup_last_success_timestamp_seconds{${C}})`,
            "{{type}}",
          ),
          ...limits("backup-age", "critical"),
        ],
      ),
      graph(
        {
          title: "Age of what pgdba tells",
          description:
            "How old the values of each source are. Values that are too old are left out",
          unit: "s",
        },
        [q(`max by (source) (pgdba_source_age_seconds{${C}})`, "{{source}}")],
        { small: 1 },
      ),
    ],
  },
);
