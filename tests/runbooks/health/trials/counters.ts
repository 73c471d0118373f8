import { startServer } from "../../../support/postgres.ts";
import type { Scene } from "./scene.ts";
import type { Trial, World } from "./trial.ts";

/** The checkpointer takes no requests for a while, so that the queue to it runs full. */
async function queueFull({ query }: World): Promise<void> {
  const [{ pid }] = await query(
    "select pid from pg_stat_activity where backend_type = 'checkpointer'",
  );
  process.kill(pid, "SIGSTOP");
  try {
    await query(`set pg_stat_statements.track = none; do $$ begin for i in 1..300 loop
      execute format('drop table if exists queued%s; create table queued%s as select %s as n', i, i, i); end loop; end $$`);
    await query("select count(*) from big");
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await query("checkpoint");
}

/** What the whole server counts. */
const TRIALS: Trial[] = [
  {
    check: "backend-writes",
    thresholds: { info: 20, min_pages: 3000 },
    plant: Array.from({ length: 8 }, () => "update big set t = repeat('y', 900)").join(";"),
    finds: ["info"],
  },
  {
    check: "backend-fsyncs",
    thresholds: { warning: 10 },
    plant: queueFull,
    finds: ["warning"],
    remedy: {
      told: /Raise shared_buffers, whose size sets that of the queue .* select pg_stat_reset_shared\('(io|bgwriter)'\) begins anew/,
      async does({ query, server }, { remedy }) {
        await query("alter system set shared_buffers = '64MB'");
        await server.restart();
        await query(/select pg_stat_reset_shared\('\w+'\)/.exec(String(remedy.text))![0]);
      },
    },
    again: queueFull,
  },
  {
    check: "checkpoints-requested",
    thresholds: { min_count: 10 },
    async plant({ query }) {
      for (let n = 0; n < 12; n++) await query("insert into written values (1); checkpoint");
    },
    finds: ["warning"],
  },
  {
    check: "checkpoints-slow",
    thresholds: { min_count: 10, warning: 0 },
    plant: "",
    finds: ["warning"],
  },
  {
    check: "wal-buffers-full",
    from: 14,
    thresholds: { info: 600 },
    plant: "insert into written select generate_series(1, 600000)",
    finds: ["info"],
    again: ({ query }) => query("insert into written select generate_series(1, 600000)"),
  },
  {
    check: "statements-overflow",
    from: 14,
    plant:
      "do $$ begin for i in 1..400 loop execute 'select 1' || repeat(', 1', i); end loop; end $$",
    finds: ["info"],
    again: ({ query }) =>
      query(
        "do $$ begin for i in 1..120 loop execute 'select 1' || repeat(', 1', i); end loop; end $$",
      ),
  },
  {
    check: "statistics-reset-recently",
    from: 15,
    plant: "select pg_stat_reset_single_table_counters('big'::regclass)",
    finds: ["info postgres"],
    remedy: { untried: "It tells of something that has happened, and ends with time." },
  },
];

export const COUNTERS: Scene = {
  name: "counters",
  versions: [13, 18],
  trials: TRIALS,
  start: async (version) => [
    await startServer({
      version,
      settings: {
        autovacuum: "off",
        shared_buffers: "1MB",
        wal_buffers: "32kB",
        bgwriter_lru_maxpages: 0,
        shared_preload_libraries: "pg_stat_statements",
        "pg_stat_statements.max": 100,
        "pg_stat_statements.track": "all",
        "pg_stat_statements.track_utility": "off",
      },
    }),
  ],
  healthy: [
    `create schema "Ext ras"; create extension pg_stat_statements schema "Ext ras"; create table written (n int);
    create table big (id int primary key, t text); insert into big select n, repeat('x', 900) from generate_series(1, 2000) n`,
  ],
};
