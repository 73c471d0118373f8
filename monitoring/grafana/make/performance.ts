import { C, dashboard, graph, I, limits, longestLockWait, q } from "./panels.ts";

const rate = (metric: string, by = "instance"): string =>
  `sum by (${by}) (rate(${metric}{${I}}[$__rate_interval]))`;

export default dashboard(
  "pgdba-performance",
  {
    title: "PostgreSQL: performance",
    description: "What clients ask for, what they wait for, and what it costs",
  },
  {
    Work: [
      graph(
        {
          title: "Transactions",
          description: "Committed and rolled back, per second",
          unit: "ops",
        },
        [
          q(rate("pg_stat_database_xact_commit"), "{{instance}} committed"),
          q(rate("pg_stat_database_xact_rollback"), "{{instance}} rolled back"),
        ],
      ),
      graph(
        {
          title: "Rows",
          description: "Read, inserted, changed and deleted, per second, on all chosen members",
          unit: "rowsps",
        },
        [
          q(rate("pg_stat_database_tup_fetched", "cluster"), "fetched"),
          q(rate("pg_stat_database_tup_inserted", "cluster"), "inserted"),
          q(rate("pg_stat_database_tup_updated", "cluster"), "updated"),
          q(rate("pg_stat_database_tup_deleted", "cluster"), "deleted"),
        ],
      ),
      graph(
        {
          title: "Sessions by state",
          description:
            "Of clients; those that are idle inside a transaction hold locks and hold back vacuum",
          unit: "none",
        },
        [
          q(
            `sum by (state) (pg_stat_activity_count{backend_type="client backend",${I}})`,
            "{{state}}",
          ),
        ],
        { stacked: true },
      ),
      graph(
        {
          title: "What sessions wait for",
          description:
            "Clients by the kind of event that they wait for at this moment; Client is the application's turn",
          unit: "none",
        },
        [
          q(
            `sum by (wait_event_type) (label_replace(pg_stat_activity_count{backend_type="client backend",${I}}, "wait_event_type", "nothing: they work", "wait_event_type", ""))`,
            "{{wait_event_type}}",
          ),
        ],
        { stacked: true },
      ),
    ],
    "Locks and transactions": [
      longestLockWait(),
      graph(
        {
          title: "Locks",
          description: "Held and wanted, by mode, on all chosen members",
          unit: "none",
        },
        [q(`sum by (mode) (pg_locks_count{${I}})`, "{{mode}}")],
        { stacked: true },
      ),
      graph(
        {
          title: "Oldest transaction",
          description:
            "Of a client. As long as it lasts vacuum cleans nothing that it might still see",
          unit: "s",
        },
        [
          q(`max by (cluster) (pgdba_transaction_seconds_max{${C}})`, "oldest"),
          ...limits("long-transactions", "warning", "critical"),
        ],
        { small: 0.1 },
      ),
      graph(
        {
          title: "Longest idle in a transaction",
          description: "A session that does nothing and holds its locks",
          unit: "s",
        },
        [
          q(`max by (cluster) (pgdba_idle_in_transaction_seconds_max{${C}})`, "longest"),
          ...limits("idle-in-transaction", "warning", "critical"),
        ],
        { small: 0.1 },
      ),
      graph({ title: "Deadlocks", description: "Within five minutes, by database", unit: "none" }, [
        q(`sum by (datname) (increase(pg_stat_database_deadlocks{${I}}[5m]))`, "{{datname}}"),
        ...limits("deadlocks-rate", "warning"),
      ]),
      graph(
        {
          title: "PgBouncer: clients",
          description: "Clients that have a server connection, and those that wait for one",
          unit: "none",
        },
        [
          q(
            `sum by (database) (pgbouncer_pools_client_active_connections{${C}})`,
            "{{database}} served",
          ),
          q(
            `sum by (database) (pgbouncer_pools_client_waiting_connections{${C}})`,
            "{{database}} waiting",
          ),
        ],
      ),
      graph(
        {
          title: "PgBouncer: longest wait",
          description: "Of a client for a server connection",
          unit: "s",
        },
        [
          q(`max by (database) (pgbouncer_pools_client_maxwait_seconds{${C}})`, "{{database}}"),
          ...limits("pgbouncer-wait", "critical"),
        ],
      ),
      // Versions of the exporter have a word more in these names.
      graph(
        {
          title: "PgBouncer: query time",
          description: "Mean time that a query took on its server connection",
          unit: "s",
        },
        [
          q(
            `sum by (database) (rate({__name__=~"pgbouncer_stats_(totals_)?queries_duration_seconds_total",${C}}[$__rate_interval])) / sum by (database) (rate({__name__=~"pgbouncer_stats_(totals_)?queries_pooled_total",${C}}[$__rate_interval]))`,
            "{{database}}",
          ),
        ],
      ),
    ],
    "Memory and disk": [
      graph(
        {
          title: "Cache",
          description:
            "Share of the pages that were found in shared buffers. It means little while little is read",
          unit: "percent",
        },
        [q(`max by (instance) (pgdba:cache_hit:percent{${I}})`), ...limits("cache-hit", "warning")],
        { max: 100, fromZero: false },
      ),
      graph(
        {
          title: "Pages read",
          description: "From outside of shared buffers, per second",
          unit: "ops",
        },
        [q(rate("pg_stat_database_blks_read"))],
      ),
      graph(
        {
          title: "Temporary files",
          description:
            "What queries spill to disk, per second; work_mem is what keeps it in memory",
          unit: "binBps",
        },
        [q(rate("pg_stat_database_temp_bytes"))],
      ),
      graph(
        {
          title: "Checkpoints within an hour",
          description:
            "Of members that were no standby within it. Requested ones come from the amount of WAL: max_wal_size is too small for them",
          unit: "none",
        },
        [
          q(`max by (instance) (pgdba:checkpoints_timed:increase1h{${I}})`, "{{instance}} timed"),
          q(
            `max by (instance) (pgdba:checkpoints_requested:increase1h{${I}})`,
            "{{instance}} requested",
          ),
        ],
      ),
      graph({ title: "WAL directory", description: "Size of pg_wal", unit: "bytes" }, [
        q(`max by (instance) (pg_wal_size_bytes{${I}})`),
      ]),
      graph({ title: "Databases", description: "Their sizes", unit: "bytes" }, [
        q(`max by (datname) (pg_database_size_bytes{${I}})`, "{{datname}}"),
      ]),
    ],
    "What grows until it stops the server": [
      graph(
        {
          title: "Transaction ids",
          description: "Used share; vacuum gives them back. At 100 % the server takes no writes",
          unit: "percent",
        },
        [
          q(`max by (datname) (pgdba:wraparound_database:percent{${C}})`, "{{datname}}"),
          ...limits("wraparound-database", "warning", "critical"),
        ],
        { max: 100 },
      ),
      graph(
        {
          title: "Multixact ids",
          description: "Used share; vacuum gives them back. At 100 % the server takes no writes",
          unit: "percent",
        },
        [
          q(`max by (datname) (pgdba:wraparound_multixact:percent{${C}})`, "{{datname}}"),
          ...limits("wraparound-multixact", "warning", "critical"),
        ],
        { max: 100 },
      ),
      graph(
        {
          title: "Sequences",
          description: "Used share of the fullest sequence of each database",
          unit: "percent",
        },
        [
          q(`100 * max by (datname) (pgdba_sequence_used_ratio_max{${C}})`, "{{datname}}"),
          ...limits("sequence-exhausted", "warning", "critical"),
        ],
        { max: 100 },
      ),
      graph(
        {
          title: "Dead rows",
          description: "Of the ten tables that have the most; autovacuum removes them",
          unit: "none",
        },
        [
          q(
            `topk(10, max by (datname, schemaname, relname) (pg_stat_user_tables_n_dead_tup{${I}}))`,
            "{{datname}} {{schemaname}}.{{relname}}",
          ),
        ],
      ),
    ],
  },
);
