import { expect } from "bun:test";
import { Client } from "pg";
import { startServer, type TestServer, type Version } from "../../../support/postgres.ts";
import { cloneInto } from "../../../support/standby.ts";
import { until } from "../support.ts";
import type { Scene } from "./scene.ts";
import type { Trial, World } from "./trial.ts";

const RELOAD = "select pg_reload_conf()";
const WRITE = "create table written as select n, repeat('x', 100) from generate_series(1, 20000) n";
const done = { does: async () => {} };

/** A primary and its standby, which has replayed all of it. */
async function pair(version: Version): Promise<TestServer[]> {
  const settings = { wal_level: "replica", wal_retrieve_retry_interval: "100ms" };
  const primary = await startServer({ version, settings });
  try {
    const prepare = (dataDir: string) => cloneInto(dataDir, primary);
    return [primary, await startServer({ version, settings, prepare })];
  } catch (error) {
    await primary.stop();
    throw error;
  }
}

async function streams({ query }: World): Promise<void> {
  const sql = "select from pg_stat_replication where state = 'streaming'";
  await until(
    () => query(sql),
    (rows) => rows.length === 1,
  );
}

const PAUSED: Trial[] = [
  {
    check: "replay-paused",
    on: "standby",
    async plant(world) {
      await streams(world);
      await world.query("select pg_wal_replay_pause()", { server: world.standby });
    },
    finds: ["warning"],
  },
  {
    check: "replication-lag",
    thresholds: { warning_bytes: 1_000_000 },
    plant: WRITE,
    finds: ["warning standby walreceiver"],
    // The remedy of the pause is that of the lag.
    remedy: { told: /whether its replay is paused/, ...done },
  },
  {
    check: "standby-replay-lag",
    on: "standby",
    thresholds: { warning: 0, critical: 1e6, min_bytes: 1_000_000 },
    plant: "",
    finds: ["warning"],
    remedy: { told: /Resume replay when it is paused/, ...done },
  },
];

/** From 14 on a standby pauses when its primary has more of what it must not have less of. */
const SHORT: Trial[] = [
  {
    check: "replay-paused",
    from: 14,
    on: "standby",
    async plant(world) {
      await streams(world);
      await world.query(
        "alter system set max_connections = 150; alter system set max_worker_processes = 12",
      );
      await world.server.restart();
      // A check that asks what the primary has just before the standby learns of it tells less.
      await until(
        () => world.query("select pg_is_wal_replay_paused() as is", { server: world.standby }),
        ([row]) => row.is,
      );
    },
    finds: ["warning"],
    async leaves({ query, standby }) {
      const [row] = await query(
        "select current_setting('max_connections') as connections, current_setting('max_worker_processes') as workers, pg_is_in_recovery() as standby",
        { server: standby },
      );
      if (row.connections !== "150" || row.workers !== "12" || !row.standby)
        throw new Error(JSON.stringify(row));
    },
  },
];

/** It runs with enough, and its files have less. */
const SHORT_NEXT: Trial[] = [
  {
    check: "standby-settings-short",
    on: "standby",
    async plant(world) {
      await streams(world);
      const { query, standby, server } = world;
      // More on both, the standby first; then less in the standby's files alone. Of another its primary has no more.
      const more =
        "alter system set max_connections = 150; alter system set max_prepared_transactions = 7";
      for (const at of [standby, server]) {
        await query(more, { server: at });
        await at.restart();
      }
      await streams(world);
      await query(
        "alter system set max_connections = 120; alter system reset max_prepared_transactions; alter system set max_worker_processes = 20; select pg_reload_conf()",
        { server: standby },
      );
    },
    finds: ["critical"],
    async leaves({ query, standby }) {
      await standby.restart();
      const [row] = await query(
        "select current_setting('max_connections') as connections, current_setting('max_prepared_transactions') as prepared, pg_is_in_recovery() as standby",
        { server: standby },
      );
      expect(row).toEqual({ connections: "150", prepared: "7", standby: true });
    },
  },
];

const CUT: Trial[] = [
  {
    check: "standby-not-receiving",
    on: "standby",
    async plant(world) {
      await streams(world);
      await world.query(
        `alter system set primary_conninfo = 'host=127.0.0.1 port=1 user=nobody'; ${RELOAD}`,
        { server: world.standby },
      );
    },
    finds: ["critical"],
    remedy: {
      told: /check primary_conninfo/,
      does: ({ query, standby }) =>
        query(`alter system reset primary_conninfo; ${RELOAD}`, { server: standby }),
    },
  },
  {
    check: "standbys-missing",
    thresholds: { expected: 1 },
    plant: "",
    finds: ["critical"],
    remedy: { told: /Look at the log of the missing standby/, ...done },
  },
  {
    check: "standby-not-streaming",
    thresholds: { warning: 0 },
    async plant({ server: { host, port, password }, notes }) {
      const about = { host, port, password, user: "postgres", application_name: "stuck" };
      // Connected as a standby, it asks for nothing.
      const client = new Client({ ...about, replication: "true" } as ConstructorParameters<
        typeof Client
      >[0]);
      client.on("error", () => {});
      await client.connect();
      notes["stuck"] = client;
    },
    finds: ["warning standby stuck"],
    remedy: {
      told: /otherwise look at the network and the disk of the standby/,
      does: ({ notes }) => (notes["stuck"] as Client).end(),
    },
  },
  {
    check: "sync-standbys-short",
    plant: `alter system set synchronous_standby_names = 'ANY 2 (a, b)'; ${RELOAD}`,
    finds: ["critical"],
  },
];

const CONFLICTS: Trial[] = [
  {
    check: "standby-conflicts",
    on: "standby",
    async plant(world) {
      await streams(world);
      const { query, open, standby } = world;
      await query(`alter system set max_standby_streaming_delay = 0; ${RELOAD}`, {
        server: standby,
      });
      await query(WRITE);
      const reader = await open({ server: standby });
      await until(
        () => query("select from pg_class where relname = 'written'", { server: standby }),
        (rows) => rows.length === 1,
      );
      await reader.query("begin isolation level repeatable read; select count(*) from written");
      await query("delete from written");
      await query("vacuum (truncate off) written");
    },
    finds: ["info postgres"],
    thresholds: { warning: 10 },
    // The delay that it proposes lets such a query end, and changes nothing on the primary.
    async again({ query, open, standby }) {
      await query("select pg_stat_reset()", { server: standby });
      await query("insert into written select n from generate_series(1, 1000) n");
      const reader = await open({ server: standby });
      await until(
        () => query("select from written limit 1", { server: standby }),
        (rows) => rows.length === 1,
      );
      await reader.query("begin isolation level repeatable read; select count(*) from written");
      await query("delete from written");
      await query("vacuum (truncate off) written");
      await Bun.sleep(1000);
      expect((await reader.query("select count(*)::int as n from written")).rows).toEqual([
        { n: 1000 },
      ]);
      await reader.query("commit");
    },
    async leaves({ query, standby }) {
      const told = "select current_setting('max_standby_streaming_delay') as delay";
      const [here] = await query(told, { server: standby });
      const [primary] = await query(told);
      expect([here.delay, primary.delay]).toEqual(["5min", "30s"]);
    },
  },
  {
    // Its own counts say nothing of the standby's.
    check: "index-unused",
    thresholds: { min_days: 0, min_bytes: 100_000 },
    plant: `create table looked_up (id int primary key, there int); insert into looked_up select n, n from generate_series(1, 12000) n;
      create index there on looked_up (there); analyze looked_up`,
    finds: ["warning public.there"],
    remedy: {
      told: /1 standby follows this server and counts its own scans: look at idx_scan .* Drop the index when none of them/,
      async does({ query }, { remedy }) {
        if (remedy.sql !== null) throw new Error(remedy.sql);
        await query("drop index there");
      },
    },
  },
];

const scene = (name: string, trials: Trial[], versions: Version[]): Scene => ({
  name: `a standby: ${name}`,
  versions,
  trials,
  start: pair,
});

export const STANDBYS: Scene[] = [
  scene("paused", PAUSED, [13]),
  scene("short of settings", SHORT, [14, 18]),
  scene("short at its next start", SHORT_NEXT, [13, 18]),
  scene("cut off", CUT, [18]),
  scene("conflicts", CONFLICTS, [18]),
];
