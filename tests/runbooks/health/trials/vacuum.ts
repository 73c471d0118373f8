import { expect } from "bun:test";
import type { Client } from "pg";
import { startServer } from "../../../support/postgres.ts";
import { until } from "../support.ts";
import type { Scene } from "./scene.ts";
import { pidOf, type Trial, type World } from "./trial.ts";

const ODD = `set search_path = "Ödd ""Schema", public`;
/** Each of these is a transaction of its own, so that tables grow old. */
const GROW_OLD =
  "do $$ begin for i in 1..60000 loop perform txid_current(); commit; end loop; end $$";

/**
 * A temporary table whose session died without tidying up: the server starts all its processes again. Its number is then that of a
 * session that knows nothing of it.
 */
async function orphan({ open, query, server, notes }: World): Promise<void> {
  const crowd = await Promise.all(Array.from({ length: 5 }, () => open()));
  const last = crowd.at(-1)!;
  await last.query("set synchronous_commit = on");
  await last.query("create temp table orphan (id int) with (autovacuum_freeze_max_age = 100000)");
  await last.query("insert into orphan values (1)");
  process.kill(pidOf(last), "SIGKILL");
  await until(
    () => server.log(),
    (text) => /(ready to accept connections.*){2}/s.test(text),
  );
  notes["innocent"] = await Promise.all(Array.from({ length: 12 }, () => open()));
  await query("select 1");
}

const TRIALS: Trial[] = [
  {
    check: "freeze-overdue",
    async plant(world) {
      // Before 14 the files of a session that was killed stay until the next start, and nothing tells them from those of a living one.
      if (world.server.version >= 14) await orphan(world);
      await world.query(
        `create schema "Ödd ""Schema"; ${ODD}; create table "Old" (id int primary key) with (autovacuum_freeze_max_age = 100000); insert into "Old" values (1)`,
      );
      const client = await world.open();
      await client.query(
        "create temp table held (id int) with (autovacuum_freeze_max_age = 100000)",
      );
      await client.query("insert into held values (1)");
      world.notes["owner"] = client;
      await world.query(GROW_OLD);
      const [{ held, orphan: lost }] = await world.query(
        "select (select oid::regclass from pg_class where relname = 'held')::text as held, (select oid::regclass from pg_class where relname = 'orphan')::text as orphan",
      );
      world.notes["temporary"] = [held, lost].filter((name) => name !== null);
    },
    thresholds: { warning: 50 },
    finds: ({ notes }) =>
      [...(notes["temporary"] as string[]), `"Ödd ""Schema"."Old"`].map(
        (name) => `warning ${name}`,
      ),
    remedy: {
      told: /Find the session that made it, an old one in this database, and have it drop the table/,
      also: true,
      async does({ notes, query }) {
        await (notes["owner"] as Client).query("drop table if exists held");
        await query("select 1");
      },
    },
    async leaves({ query, notes }) {
      expect(await query("select from pg_class where relname in ('held', 'orphan')")).toEqual([]);
      for (const client of (notes["innocent"] ?? []) as Client[]) await client.query("select 1");
    },
  },
  {
    check: "dead-rows",
    async plant({ query, open }) {
      await query(
        `${ODD}; create table "Dead" (id int primary key, n int); insert into "Dead" select n, n from generate_series(1, 30000) n; analyze "Dead"`,
      );
      await query(`${ODD}; vacuum "Dead"`);
      await query(`${ODD}; delete from "Dead" where id % 2 = 0`);
      const client = await open();
      await client.query(
        "create temp table passing (id int); insert into passing select generate_series(1, 20000); delete from passing",
      );
    },
    finds: [`warning "Ödd ""Schema"."Dead"`],
  },
  {
    check: "bloat-table",
    async plant({ query }) {
      await query(`${ODD}; create table "Bloat" (id int primary key, t text); insert into "Bloat" select n, repeat(md5(n::text), 4) from generate_series(1, 120000) n;
        create index "bl ix" on "Bloat" (t)`);
      await query(`${ODD}; vacuum analyze "Bloat"`);
      await query(`${ODD}; delete from "Bloat" where id % 20 <> 0`);
      await query(`${ODD}; vacuum "Bloat"`);
    },
    finds: [`info "Ödd ""Schema"."Bloat"`],
  },
  { check: "bloat-index", plant: "", finds: [`info "Ödd ""Schema"."bl ix"`] },
  {
    check: "statistics-stale",
    plant: "",
    finds: [`warning "Ödd ""Schema"."Bloat"`, `warning "Ödd ""Schema"."Dead"`],
  },
  {
    check: "statistics-never",
    plant: `${ODD}; create table "Unknown" (id int primary key); insert into "Unknown" select generate_series(1, 20000)`,
    finds: [`warning "Ödd ""Schema"."Unknown"`],
  },
  { check: "vacuum-never", plant: "", finds: [`info "Ödd ""Schema"."Unknown"`] },
  {
    check: "statistics-partitioned",
    from: 14,
    async plant({ query }) {
      await query(`${ODD}; create table "Part" (id int primary key) partition by range (id);
        create table part1 partition of "Part" for values from (0) to (20000); insert into "Part" select generate_series(1, 15000)`);
      await query(`${ODD}; vacuum analyze part1`);
    },
    finds: [`info "Ödd ""Schema"."Part"`],
  },
  {
    check: "autovacuum-off-table",
    commands: [13, 18],
    plant: `${ODD}; create table "Off" (id int primary key, t text) with (autovacuum_enabled = off, toast.autovacuum_enabled = false);
      create materialized view "Off view" with (autovacuum_enabled = 'n') as select 1 as n; create table "On" (id int primary key) with (autovacuum_enabled = on)`,
    finds: [
      `warning "Ödd ""Schema"."Off"`,
      `warning TOAST of "Ödd ""Schema"."Off"`,
      `warning "Ödd ""Schema"."Off view"`,
    ],
  },
  {
    check: "seq-scans",
    async plant({ query }) {
      await query(
        `${ODD}; create table "Scanned" (id int primary key, a int); insert into "Scanned" select n, n from generate_series(1, 20000) n`,
      );
      await query(`${ODD}; vacuum analyze "Scanned"`);
      await query(
        `${ODD}; do $$ begin for i in 1..60 loop perform count(*) from "Scanned" where a < 0; end loop; end $$`,
      );
    },
    finds: [`info "Ödd ""Schema"."Scanned"`],
    remedy: {
      told: /the index that they lack.*pg_stat_reset_single_table_counters/,
      does: ({ query }) =>
        query(
          `${ODD}; create index on "Scanned" (a); select pg_stat_reset_single_table_counters('"Ödd ""Schema"."Scanned"'::regclass)`,
        ),
    },
    again: ({ query }) =>
      query(
        `${ODD}; do $$ begin for i in 1..60 loop perform count(*) from "Scanned" where a < 0; end loop; end $$`,
      ),
  },
];

export const VACUUM: Scene = {
  name: "vacuum",
  versions: [13, 18],
  trials: TRIALS,
  start: async (version) => [
    await startServer({
      version,
      // It is on, and leaves all to us.
      settings: {
        autovacuum_vacuum_threshold: 2e9,
        autovacuum_vacuum_insert_threshold: 2e9,
        autovacuum_analyze_threshold: 2e9,
      },
    }),
  ],
};
