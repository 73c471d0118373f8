import { expect } from "bun:test";
import { startServer } from "../../../support/postgres.ts";
import { until } from "../support.ts";
import type { Scene } from "./scene.ts";
import type { Trial, World } from "./trial.ts";

const repeated = (times: number, sql: string): string =>
  Array.from({ length: times }, () => sql).join(";");
const READ = repeated(8, "select count(*) from big");
const LOOK_UP = `set enable_seqscan = off; ${repeated(6, "select count(*) from keyed where k > 'a'; select count(*) from keyed where k < 'a'")}`;

/** The figures of a database can only be reset together. */
const countedAnew = {
  told: /select pg_stat_reset\(\) in (that|this) database begins anew; it forgets the counts of tables and indexes too/,
  does: ({ query }: World) => query("select pg_stat_reset()"),
};

/** Locks that one session holds until it ends. */
async function locks({ open }: World): Promise<void> {
  const client = await open();
  await client.query("select count(pg_advisory_lock(n)) from generate_series(1, 2000) n");
}

async function deadlock({ open }: World): Promise<void> {
  const [a, b] = [await open(), await open()];
  await a.query("begin; select pg_advisory_xact_lock(-1)");
  await b.query("begin; select pg_advisory_xact_lock(-2)");
  const ends = await Promise.allSettled([
    a.query("select pg_advisory_xact_lock(-2)"),
    b.query("select pg_advisory_xact_lock(-1)"),
  ]);
  expect(ends.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  // Their counts arrive when they end.
  await a.end();
  await b.end();
}

/** What a database's statistics count, with a cache that is too small. */
const TRIALS: Trial[] = [
  {
    check: "pending-restart",
    // One is changed back: the server says all the same that it waits, and its files agree with what it does.
    plant: async ({ query }) => {
      const pending = async (name: string) =>
        (await query(`select pending_restart from pg_settings where name = '${name}'`))[0]
          .pending_restart === true;
      await query("alter system set max_locks_per_transaction = 99; select pg_reload_conf()");
      await until(() => pending("max_locks_per_transaction"), Boolean);
      await query(
        "alter system reset max_locks_per_transaction; alter system set max_prepared_transactions = 2; alter system set shared_buffers = '64MB'; select pg_reload_conf()",
      );
      await until(() => pending("max_prepared_transactions"), Boolean);
      expect(await pending("max_locks_per_transaction")).toBe(true);
    },
    finds: ["warning max_prepared_transactions", "warning shared_buffers"],
    remedy: {
      told: /Restart at a time you choose, or take the change back/,
      does: ({ server }) => server.restart(),
    },
  },
  {
    check: "cache-hit",
    thresholds: { min_reads: 4000 },
    plant: READ,
    finds: ["warning postgres"],
    // The larger cache came with the restart.
    remedy: countedAnew,
    again: ({ query }) => query(READ),
  },
  {
    check: "cache-hit-indexes",
    thresholds: { min_reads: 1000 },
    plant: LOOK_UP,
    finds: ["warning"],
    remedy: countedAnew,
    again: ({ query }) => query(LOOK_UP),
  },
  {
    check: "io-slow",
    thresholds: { info: 0, warning: 1e6, min_reads: 4000 },
    plant: "",
    finds: ["info postgres"],
    remedy: countedAnew,
  },
  {
    check: "temp-files",
    thresholds: { info_bytes: 1_000_000, warning_bytes: 1e12 },
    plant:
      "set work_mem = '64kB'; select * from (select t || id as x from big order by 1) s offset 7999",
    finds: ["info postgres"],
    remedy: countedAnew,
    again: ({ query }) =>
      query(
        "set work_mem = '64MB'; select * from (select t || id as x from big order by 1) s offset 7999",
      ),
  },
  { check: "deadlocks", plant: deadlock, finds: ["info postgres"], remedy: countedAnew },
  {
    check: "lock-table-full",
    thresholds: { info: 20 },
    plant: locks,
    finds: ["info"],
    again: locks,
  },
];

export const READS: Scene = {
  name: "reads and locks",
  versions: [13, 18],
  trials: TRIALS,
  start: async (version) => [
    await startServer({
      version,
      settings: {
        autovacuum: "off",
        shared_buffers: "1MB",
        track_io_timing: "on",
        deadlock_timeout: "50ms",
      },
    }),
  ],
  healthy: [
    `create table big (id int primary key, t text); insert into big select n, repeat('x', 900) from generate_series(1, 8000) n;
    create table keyed (k text primary key); insert into keyed select md5(n::text) || md5(n::text) from generate_series(1, 20000) n; vacuum analyze`,
    "select pg_stat_reset()",
  ],
};
