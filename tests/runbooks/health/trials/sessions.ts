import { connect } from "node:net";
import type { Client } from "pg";
import { startServer, type Version } from "../../../support/postgres.ts";
import type { Scene } from "./scene.ts";
import { pidOf, rollBack, type Trial, type World } from "./trial.ts";

const pids = ({ notes }: World, name: string): Client[] => notes[name] as Client[];
const line = (severity: string, client: Client): string => `${severity} pid ${pidOf(client)}`;
const LONG = { warning: 0, critical: 1e6 };

const COMMANDS: Version[] = [13, 18];
const VERSIONS: Version[] = [13, 17, 18];

/** A statement that goes on until its session or it is ended; how it ends does not matter. */
function start(client: Client, sql: string): void {
  client.query(sql).catch(() => {});
}

const ASK = /Ask (its|the) transaction manager what became of it/;

async function endAll(world: World, name: string): Promise<void> {
  for (const client of pids(world, name)) await client.end();
}

const BLOCKING: Trial[] = [
  {
    check: "idle-in-transaction",
    commands: COMMANDS,
    thresholds: { info: 0, ...LONG },
    async plant({ open, query, notes }) {
      await query(`create table "T;1" (id int primary key); insert into "T;1" values (1), (2)`);
      const root = await open();
      await root.query(`begin; update "T;1" set id = 10 where id = 1`);
      notes["root"] = [root];
    },
    finds: (world) => [line("warning", pids(world, "root")[0]!)],
  },
  {
    check: "lock-waits",
    commands: COMMANDS,
    thresholds: { warning: 0, critical: 1e6 },
    async plant({ open, notes }) {
      const waiter = await open();
      start(waiter, `update "T;1" set id = 11 where id = 1`);
      notes["waiter"] = [waiter];
    },
    finds: (world) => [line("warning", pids(world, "root")[0]!)],
    // With the root it is gone.
    remedy: { told: /`pgdba locks tree` first/, does: async () => {} },
  },
  {
    check: "ddl-waiting",
    thresholds: { warning: 0 },
    async plant({ open }) {
      start(await open(), `alter table "T;1" add column n int`);
    },
    finds: [`warning public."T;1"`],
    // With the root it is gone.
    remedy: { told: /Cancel it and run it again/, does: async () => {} },
  },
];

const DDL: Trial[] = [
  {
    check: "ddl-waiting",
    commands: COMMANDS,
    thresholds: { warning: 0 },
    async plant({ open, query, notes }) {
      await query(`create table "T;2" (id int primary key)`);
      const reader = await open();
      await reader.query(`begin; select from "T;2"`);
      const ddl = await open();
      start(ddl, `alter table "T;2" add column n int`);
      notes["others"] = [reader, ddl];
    },
    finds: [`warning public."T;2"`],
    // Neither session has ended.
    leaves: async (world) => {
      for (const client of pids(world, "others")) await client.query("select 1");
    },
  },
];

const PREPARED_BLOCKING: Trial[] = [
  {
    check: "lock-waits",
    commands: COMMANDS,
    thresholds: { warning: 0, critical: 1e6 },
    async plant({ open, query }) {
      await query("create table locked (id int primary key); insert into locked values (1)");
      await query("begin; update locked set id = 2; prepare transaction 'by row'");
      await query("create table whole (id int primary key)");
      await query("begin; lock table whole; prepare transaction 'by table'");
      start(await open(), "delete from locked");
      start(await open(), "select * from whole");
    },
    finds: ["warning prepared transaction by row", "warning prepared transaction by table"],
    remedy: { told: ASK, does: rollBack },
  },
];

const LASTING: Trial[] = [
  {
    check: "long-queries",
    commands: COMMANDS,
    thresholds: LONG,
    async plant({ open, notes }) {
      const slow = await open();
      start(slow, "select pg_sleep(600)");
      notes["slow"] = [slow];
    },
    finds: (world) => [
      line("warning", pids(world, "slow")[0]!),
      line("warning", pids(world, "long")[0]!),
    ],
  },
  {
    check: "long-transactions",
    commands: COMMANDS,
    thresholds: LONG,
    async plant({ open, notes }) {
      const long = await open();
      await long.query("begin; select 1");
      // The statement must have begun later than its transaction, by more than a second.
      await long.query("select pg_sleep(1.1)");
      start(long, "select pg_sleep(600)");
      notes["long"] = [long];
    },
    finds: (world) => [line("warning", pids(world, "long")[0]!)],
  },
];

const HOLDING: Trial[] = [
  {
    check: "prepared-transactions",
    commands: COMMANDS,
    thresholds: { warning: 0, critical: 1e6 },
    async plant({ query }) {
      await query("create table held (n int)");
      await query(`begin; insert into held values (1); prepare transaction 'left; "behind"'`);
      await query(`create database "Other;1"`);
      const there = { database: "Other;1" };
      await query("create table there (n int)", there);
      await query("begin; insert into there values (1); prepare transaction 'elsewhere'", there);
    },
    finds: [`warning left; "behind"`, "warning elsewhere"],
    remedy: { told: ASK, does: rollBack },
  },
];

const HORIZON: Trial[] = [
  {
    check: "horizon-held",
    commands: COMMANDS,
    thresholds: { warning: 50, critical: 1e6 },
    async plant({ query }) {
      await query("select pg_create_logical_replication_slot('catalogue', 'pgoutput')");
      await query(`create database "Other;1"`);
      const there = { database: "Other;1" };
      await query("create table grown (n int)", there);
      await query("begin; insert into grown values (1); prepare transaction 'holder'", there);
      await query(
        "do $$ begin for i in 1..100 loop perform txid_current(); commit; end loop; end $$",
      );
    },
    finds: ["warning holder of postgres in Other;1", "warning slot catalogue (logical, not used)"],
    remedy: {
      told: /Ask its transaction manager|If it is gone for good, drop the slot/,
      async does(world, finding) {
        if (finding.evidence["gid"] !== "") await rollBack(world);
        else await world.query("select pg_drop_replication_slot('catalogue')");
      },
    },
  },
];

const MANY: Trial[] = [
  {
    check: "connections-idle",
    thresholds: { warning: 8, share: 50 },
    async plant({ open, notes }) {
      notes["idle"] = await Promise.all(Array.from({ length: 14 }, () => open()));
    },
    finds: ["warning"],
    remedy: { told: /shrink the pools of the applications/, does: async () => {} },
  },
  {
    check: "connections-used",
    plant: "",
    finds: ["warning"],
    remedy: {
      told: /shrink their pools or put a pooler in front/,
      does: ({ notes }) => endAll({ notes } as World, "idle"),
    },
  },
];

const UNREAD: Trial[] = [
  {
    check: "client-not-reading",
    commands: COMMANDS,
    thresholds: { warning: 0 },
    async plant({ open, notes }) {
      const client = await open();
      // It asks for much and takes nothing.
      const { stream } = (
        client as unknown as { connection: { stream: ReturnType<typeof connect> } }
      ).connection;
      start(client, "select repeat('x', 1000) from generate_series(1, 1000000)");
      stream.pause();
      notes["unread"] = [client];
    },
    finds: (world) => [line("warning", pids(world, "unread")[0]!)],
  },
];

const scene = (name: string, trials: Trial[], versions: Version[] = VERSIONS): Scene => ({
  name: `sessions ${name}`,
  versions,
  trials,
  start: async (version) => [
    await startServer({
      version,
      settings: {
        autovacuum: "off",
        max_connections: 20,
        max_prepared_transactions: 5,
        wal_level: "logical",
      },
    }),
  ],
});

export const SESSIONS: Scene[] = [
  scene("that block", BLOCKING),
  scene("that wait to change a table", DDL),
  scene("that wait for what was prepared", PREPARED_BLOCKING),
  scene("that last", LASTING),
  scene("that were prepared", HOLDING),
  scene("that hold the horizon", HORIZON),
  scene("that are many", MANY, [18]),
  scene("that are not read", UNREAD),
];
