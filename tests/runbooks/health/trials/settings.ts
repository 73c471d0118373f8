import type { Trial } from "./trial.ts";
import type { Scene } from "./scene.ts";
import { startServer } from "../../../support/postgres.ts";

const RELOAD = "select pg_reload_conf()";

/** Settings, each as it should not be; where the value stands differs: the server's configuration, a database, a role. */
const TRIALS: Trial[] = [
  {
    check: "fsync-off",
    plant: `alter system set fsync = off; ${RELOAD}`,
    finds: ["critical fsync"],
  },
  {
    check: "full-page-writes-off",
    plant: `alter system set full_page_writes = off; ${RELOAD}`,
    finds: ["critical full_page_writes"],
  },
  {
    check: "synchronous-commit-off",
    plant: "alter role postgres set synchronous_commit = off",
    finds: ["warning synchronous_commit"],
  },
  {
    check: "work-mem-small",
    plant: "alter database postgres set work_mem = '64kB'",
    finds: ["warning work_mem"],
  },
  {
    check: "checkpoint-timeout-short",
    plant: `alter system set checkpoint_timeout = '30s'; ${RELOAD}`,
    finds: ["warning checkpoint_timeout"],
  },
  {
    check: "io-timing-off",
    plant: "alter role all set track_io_timing = off",
    finds: ["info track_io_timing"],
  },
  {
    check: "lock-waits-not-logged",
    plant: `alter system set log_lock_waits = off; ${RELOAD}`,
    finds: ["info"],
  },
  {
    check: "slow-statements-not-logged",
    plant: "alter role postgres in database postgres set log_min_duration_statement = -1",
    finds: ["info"],
  },
  {
    check: "random-page-cost",
    plant: `alter system set random_page_cost = 4; ${RELOAD}`,
    finds: ["info random_page_cost"],
  },
  {
    check: "planner-methods-off",
    plant: `alter database postgres set enable_hashjoin = off; alter system set enable_material = off; ${RELOAD};
      create role "pl;an" login replication; alter role "pl;an" set enable_nestloop = 'false'; alter role "pl;an" set enable_sort = on;
      alter role "pl;an" in database postgres set enable_seqscan = 0; alter role all set enable_partitionwise_join = off`,
    finds: [
      "warning enable_hashjoin of database postgres",
      "warning enable_material",
      'warning enable_nestloop of role "pl;an"',
      'warning enable_seqscan of role "pl;an" in database postgres',
    ],
    async leaves({ query }) {
      const [left] = await query(
        "select count(*)::int as n from pg_db_role_setting, unnest(setconfig) c where c in ('enable_sort=on', 'enable_partitionwise_join=off')",
      );
      if (left.n !== 2) throw new Error(JSON.stringify(left));
    },
  },
  {
    check: "memory-worst-case",
    thresholds: { ram_bytes: 2e9 },
    plant: `create role "sor;ts" login replication; alter role "sor;ts" set work_mem = '64MB'`,
    finds: ["critical"],
    async leaves({ query }) {
      const [left] = await query(
        "select string_agg(c, ' ' order by c) as c from pg_db_role_setting, unnest(setconfig) c where c ~ '^work_mem=(100GB|64kB|64MB)$'",
      );
      if (left.c !== "work_mem=100GB work_mem=64kB") throw new Error(JSON.stringify(left));
    },
  },
  {
    check: "dangerous-settings",
    plant:
      "alter database postgres set zero_damaged_pages = on; alter system set ignore_checksum_failure = on; alter system set data_sync_retry = on",
    finds: [
      "critical data_sync_retry",
      "critical ignore_checksum_failure",
      "critical zero_damaged_pages",
    ],
  },
  {
    check: "autovacuum-off",
    plant: "alter system set autovacuum = off; alter database postgres set track_counts = off",
    finds: ["critical autovacuum", "critical track_counts"],
  },
  {
    check: "commit-delay",
    plant: `alter system set commit_delay = 20000; ${RELOAD}`,
    finds: ["warning commit_delay"],
  },
  {
    check: "autovacuum-slow",
    plant: `alter system set autovacuum_naptime = '2h'; alter system set vacuum_cost_limit = 10; alter system set autovacuum_analyze_scale_factor = 0.5;
      alter system set autovacuum_vacuum_threshold = 2000000; ${RELOAD}`,
    finds: [
      "info autovacuum_analyze_scale_factor",
      "warning autovacuum_naptime",
      "warning autovacuum_vacuum_cost_limit",
      "warning autovacuum_vacuum_threshold",
    ],
  },
  {
    check: "tracking-off",
    plant: "alter system set track_activities = off",
    finds: ["warning track_activities"],
  },
  {
    check: "timeouts-off",
    plant: `create role "We;b" login; create role batch login; alter role batch set statement_timeout = '6h';
      alter role batch in database postgres set lock_timeout = 0; create role copies login replication; create role family`,
    finds: [
      "info idle_in_transaction_session_timeout",
      "info lock_timeout",
      "info statement_timeout",
    ],
    // The command is for one role, the statements are for all.
    commands: [],
    async leaves({ query }) {
      const own = await query(
        `select setting from pg_db_role_setting, unnest(setconfig) setting where setrole = 'batch'::regrole and setting like 'statement%'`,
      );
      if (own[0]?.setting !== "statement_timeout=6h") throw new Error(JSON.stringify(own));
    },
  },
];

export const SETTINGS: Scene = {
  name: "settings",
  versions: [13, 18],
  trials: TRIALS,
  start: async (version) => [
    await startServer({
      version,
      settings: {
        fsync: "on",
        full_page_writes: "on",
        synchronous_commit: "on",
        track_io_timing: "on",
        log_lock_waits: "on",
        log_min_duration_statement: "1s",
        random_page_cost: 1.1,
      },
    }),
  ],
  healthy: [
    `create role app login; alter role app set statement_timeout = '1h'; alter role app set lock_timeout = '5s';
    alter role app in database postgres set idle_in_transaction_session_timeout = '1min'`,
    // Few sessions with much, none with more, any with little.
    `create role few login replication connection limit 1; alter role few set work_mem = 100000; create role nobody nologin;
    alter role nobody set work_mem = '100GB'; create role little login replication; alter role little set work_mem = '64kB'`,
  ],
  planted: ({ server }) => server.restart(),
};
