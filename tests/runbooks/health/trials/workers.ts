import { startServer } from "../../../support/postgres.ts";
import { until } from "../support.ts";
import type { Scene } from "./scene.ts";
import { rollBack, type Trial } from "./trial.ts";

const ERRORS: Trial[] = [
  {
    check: "subscription-errors",
    from: 15,
    async plant({ query, server: { port, password } }) {
      const there = { database: "publisher" };
      await query("create database publisher");
      await query("create table t (id int primary key); create publication p for table t", there);
      await query("select pg_create_logical_replication_slot('sub', 'pgoutput')", there);
      await query("create table t (id int primary key); insert into t values (1)");
      await query(`create subscription "Sub;1" connection 'host=127.0.0.1 port=${port} user=postgres password=${password} dbname=publisher'
        publication p with (create_slot = false, slot_name = 'sub', copy_data = false)`);
      await query("insert into t values (1)", there);
    },
    finds: ["warning subscription Sub;1"],
    remedy: {
      told: /Resolve that conflict: .* Then begin to count anew \(select pg_stat_reset_subscription_stats\(\d+\)\)/,
      async does({ query }, { remedy }) {
        await query("delete from t");
        await until(
          () => query("select from t"),
          (rows) => rows.length === 1,
        );
        await query(/select pg_stat_reset_subscription_stats\(\d+\)/.exec(String(remedy.text))![0]);
      },
    },
  },
];

const STOPPED: Trial[] = [
  {
    check: "subscription-stopped",
    async plant({ query, server, notes }) {
      const there = { database: "publisher" };
      await query("create database publisher");
      await query("create publication p", there);
      await query("select pg_create_logical_replication_slot('sub', 'pgoutput')", there);
      const to = `host=127.0.0.1 port=${server.port} user=postgres password=${server.password} dbname=publisher`;
      await query(
        `create subscription "Stop;ped" connection '${to}' publication p with (create_slot = false, slot_name = 'sub', copy_data = false)`,
      );
      await query(
        `create subscription off connection '${to}' publication p with (connect = false)`,
      );
      notes["running"] = true;
      await query("alter system set max_logical_replication_workers = 0");
      await server.restart();
    },
    finds: [`critical subscription "Stop;ped"`],
    remedy: {
      told: /too few max_logical_replication_workers/,
      async does({ query, server }) {
        await query("alter system reset max_logical_replication_workers");
        await server.restart();
      },
    },
  },
];

const SATURATED: Trial[] = [
  {
    check: "autovacuum-saturated",
    thresholds: { warning: 0 },
    async plant({ query }) {
      await query(
        "create table slow as select n, repeat('x', 500) as t from generate_series(1, 40000) n",
      );
      await query("delete from slow where n % 2 = 0");
    },
    finds: ["warning"],
  },
];

const BLOCKED: Trial[] = [
  {
    check: "vacuum-blocked",
    commands: [13, 18],
    thresholds: { warning: 0, critical: 1e6 },
    async plant({ query, open }) {
      await query(
        `create table "Lock;ed" (id int primary key); create table prepared (id int primary key); create table read (id int primary key)`,
      );
      const client = await open();
      await client.query(`begin; lock table "Lock;ed" in share row exclusive mode`);
      await (await open()).query("begin; select * from read");
      await query("begin; lock table prepared in exclusive mode; prepare transaction 'it''s'");
    },
    finds: [`warning public."Lock;ed"`, "warning public.prepared"],
    remedy: { told: /Ask its transaction manager/, also: true, does: rollBack },
  },
];

export const WORKERS: Scene[] = [
  {
    name: "a subscription in conflict",
    versions: [18],
    trials: ERRORS,
    start: async (version) => [await startServer({ version, settings: { wal_level: "logical" } })],
  },
  {
    name: "a subscription without a worker",
    versions: [18],
    trials: STOPPED,
    start: async (version) => [await startServer({ version, settings: { wal_level: "logical" } })],
  },
  {
    name: "a busy autovacuum",
    versions: [18],
    trials: SATURATED,
    start: async (version) => [
      await startServer({
        version,
        settings: {
          autovacuum_max_workers: 1,
          autovacuum_naptime: "1s",
          autovacuum_vacuum_cost_limit: 20,
          autovacuum_vacuum_cost_delay: "100ms",
          autovacuum_analyze_threshold: 2e9,
        },
      }),
    ],
  },
  {
    name: "a vacuum that is blocked",
    versions: [13, 18],
    trials: BLOCKED,
    start: async (version) => [
      await startServer({ version, settings: { autovacuum: "off", max_prepared_transactions: 2 } }),
    ],
  },
];
