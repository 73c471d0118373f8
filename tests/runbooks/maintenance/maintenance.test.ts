import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { clientOf } from "../../support/postgres.ts";
import { type Bench, bench, PLACES } from "./support.ts";

setDefaultTimeout(300_000);

const KILL = join(import.meta.dir, "../../support/kill-at.ts");
const PLANTED = `
  CREATE SCHEMA "My Shop";
  CREATE TABLE "My Shop"."Orders" (id int PRIMARY KEY, note text) WITH (autovacuum_enabled = off);
  INSERT INTO "My Shop"."Orders" SELECT i, 'n' || i FROM generate_series(1, 20000) i;
  CREATE TABLE dead (a int, b text); INSERT INTO dead SELECT i, 'b' || i FROM generate_series(1, 30000) i;
  CREATE TABLE parted (a int) PARTITION BY RANGE (a);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100000);
  INSERT INTO parted SELECT i FROM generate_series(1, 3000) i;
  CREATE TABLE bloated (a int, b text); INSERT INTO bloated SELECT i, 'b' || i FROM generate_series(1, 600000) i;
  CREATE INDEX bloated_a ON bloated (a); CREATE INDEX bloated_a_ccnew ON bloated (a);
  CREATE TABLE aged (a int) WITH (autovacuum_freeze_max_age = 100000); INSERT INTO aged VALUES (1);
  CREATE TABLE fine (a int); INSERT INTO fine SELECT generate_series(1, 5000);
  CREATE ROLE app LOGIN PASSWORD 'app'; GRANT pg_monitor TO app`;

describe.each(PLACES)("on PostgreSQL $name", ({ start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
    // A session tells its counters as it ends; told after VACUUM they would count the rows twice, and a quick one may keep its last.
    for (const sql of [
      PLANTED,
      "VACUUM (ANALYZE) dead",
      "VACUUM (ANALYZE) fine",
      "UPDATE dead SET b = b || 'x'",
      "DELETE FROM bloated WHERE a % 20 <> 0",
      "VACUUM (ANALYZE) bloated",
      "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bloated_a_ccnew'::regclass",
      "DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM pg_current_xact_id(); END LOOP; END $$",
    ]) {
      const planter = await clientOf(on.server);
      await planter.query(sql);
      await planter.end();
    }
    // Counters are told to others a moment later.
    const counted = `SELECT FROM pg_stat_user_tables WHERE (relname = 'dead' AND n_dead_tup = 30000)
      OR (relname = 'Orders' AND n_live_tup = 20000) OR (relname = 'bloated' AND n_live_tup = 30000 AND vacuum_count = 1)`;
    while ((await on.rows(counted)).length < 3) await Bun.sleep(50);
  });
  afterAll(() => on?.stop());

  const counter = async (table: string, what: "vacuum" | "analyze"): Promise<number> => {
    const [row] = await on.rows(`SELECT pg_stat_get_${what}_count($1::regclass)::int AS n`, [
      table,
    ]);
    return row.n;
  };
  const due = async (): Promise<any[]> => {
    const { envelope } = await on.pgdba(["maintenance", "plan"]);
    expect(envelope.error).toBeNull();
    expect(JSON.stringify(envelope.data.due).length).toBeLessThan(20_000);
    return envelope.data.due;
  };

  test("a role that may not vacuum a table is told so, and the server is not asked", async () => {
    const as = { PGDBA_PG_USER: "app", PGDBA_PG_PASSWORD: "app" };
    const named = await on.pgdba(["maintenance", "vacuum", "dead"], as);
    expect(named.envelope.error.message).toContain("app may not look after");
    const all = await on.pgdba(["maintenance", "vacuum", "--all"], as);
    expect(all.envelope.data).toMatchObject({ vacuumed: 0, failed: 0 });
    expect(all.envelope.data.not_allowed).toBeGreaterThanOrEqual(5);
    // What is due it sees all the same, and that it is not its own to do.
    const plan = await on.pgdba(["maintenance", "plan"], as);
    expect(plan.envelope.data.due.find((one: any) => one.object === "dead").why).toContain(
      "this role may not do it",
    );
  });

  test("a table that is locked does not keep the others from it, and is named at the end", async () => {
    const other = await clientOf(on.server);
    await other.query("BEGIN; LOCK TABLE dead IN SHARE UPDATE EXCLUSIVE MODE");
    const before = await counter("fine", "vacuum");
    const tried = await on.pgdba(["maintenance", "vacuum", "dead,fine", "--lock-timeout", "500ms"]);
    await other.query("ROLLBACK");
    await other.end();
    expect([tried.exit, tried.envelope.error.code]).toEqual([1, "assertion_failed"]);
    expect(tried.envelope.error.message).toMatch(
      /^dead: .*lock timeout.*; the other tables are done/,
    );
    expect(await counter("fine", "vacuum")).toBe(before + 1);
  });

  test("what is due is told, each with a command that mends it as it stands; then nothing of it is due", async () => {
    const found = await due();
    const about = (object: string): any => found.find((one) => one.object?.endsWith(object));
    // A vacuum alone would leave the cause: autovacuum that is off comes first.
    const orders = found.filter((one) => one.object === `"My Shop"."Orders"`);
    expect(orders.map((one) => one.runbook)).toEqual(["table/set", "maintenance/vacuum"]);
    expect(orders[0]).toMatchObject({ severity: "warning" });
    // It was never analysed, so that only the counters know of its rows, and nobody of its size.
    expect(orders[0].why).toContain("(20000 rows)");
    const known = await on.pgdba(["maintenance", "tables", '"My Shop"."Orders"']);
    expect(known.envelope.data.tables).toMatchObject([{ rows: 20_000, bytes: null }]);
    expect(about("dead").why).toContain("30000 dead rows (50.0 %)");
    expect(about("parted").runbook).toBe("maintenance/analyze");
    expect(about("parted_1").runbook).toBe("maintenance/vacuum");
    expect(about("bloated_a").runbook).toBe("maintenance/reindex");
    expect(about("bloated_a_ccnew").why).toContain("invalid");
    expect(about("fine")).toBeUndefined();
    const [{ oid }] = await on.rows("SELECT 'bloated_a'::regclass::oid AS oid");
    for (const { command } of found.filter((one) => one.runbook !== null)) {
      const { exit, envelope } = await on.shell(command);
      expect([command, exit, envelope.error]).toEqual([command, 0, null]);
    }
    expect((await due()).filter((one) => one.runbook !== null)).toEqual([]);
    const [left] = await on.rows(
      "SELECT 'bloated_a'::regclass::oid <> $1 AS rebuilt, to_regclass('bloated_a_ccnew') AS leftover, pg_relation_size('bloated_a')::int AS bytes",
      [oid],
    );
    expect(left).toMatchObject({ rebuilt: true, leftover: null });
    expect(left.bytes).toBeLessThan(2_000_000);
  });

  test("what waits for its lock when pgdba is killed goes on in the server; resume waits for it and does it once", async () => {
    const other = await clientOf(on.server);
    await other.query("BEGIN; LOCK TABLE dead IN SHARE UPDATE EXCLUSIVE MODE");
    const before = await counter("dead", "vacuum");
    const killer = new AbortController();
    const vacuum = ["maintenance", "vacuum", "dead", "--lock-timeout", "2m"];
    const running = on.pgdba(vacuum, {}, undefined, killer.signal);
    const waiting = async (): Promise<any> =>
      (
        await on.rows(
          "SELECT pid FROM pg_stat_activity WHERE query LIKE 'VACUUM%dead%' AND wait_event_type = 'Lock'",
        )
      )[0];
    while ((await waiting()) === undefined) await Bun.sleep(50);
    killer.abort();
    expect((await running).signal).toBe("SIGKILL");
    expect(await waiting()).toBeDefined();
    const [{ id }] = (await on.pgdba(["runs"])).envelope.data.runs;
    const resumed = on.pgdba(["resume", id]);
    // It has found that one at work.
    const looked =
      "SELECT FROM pg_stat_activity WHERE application_name LIKE 'pgdba/%' AND state = 'idle' AND query LIKE '%backend_start::text = $2%'";
    while ((await on.rows(looked)).length === 0) await Bun.sleep(20);
    await other.query("ROLLBACK");
    await other.end();
    const { exit, envelope } = await resumed;
    expect([exit, envelope.error]).toEqual([0, null]);
    expect(await counter("dead", "vacuum")).toBe(before + 1);
  });

  test.each(["started each/0/freeze", "acted each/0/freeze", "ended each/0/freeze"])(
    "killed when it has %s, resume freezes what is left",
    async (moment) => {
      const killed = await on.pgdba(
        ["maintenance", "freeze", "aged,fine", "--jobs", "1"],
        { KILL_AT: moment, KILL_LOG: join(on.home, "freeze.log") },
        KILL,
      );
      expect(killed.signal).toBe("SIGKILL");
      const [{ id }] = (await on.pgdba(["runs"])).envelope.data.runs;
      const { exit, envelope } = await on.pgdba(["resume", id]);
      expect([exit, envelope.error]).toEqual([0, null]);
      expect(envelope.data).toMatchObject({ frozen: 2, failed: 0 });
      const [row] = await on.rows(
        "SELECT age(relfrozenxid)::int AS age FROM pg_class WHERE relname = 'aged'",
      );
      expect(row.age).toBeLessThan(100);
    },
  );

  test("to freeze all is to freeze the catalogues too, so that the database gets younger", async () => {
    const age = `SELECT age(datfrozenxid)::int AS age FROM pg_database WHERE datname = current_database()`;
    const [{ age: before }] = await on.rows(age);
    const { envelope } = await on.pgdba(["maintenance", "freeze", "--all", "--limit", "1000"]);
    expect(envelope.error).toBeNull();
    const names = envelope.data.tables.map(({ table }: any) => table);
    expect(names).toContain("pg_class");
    const [{ age: now }] = await on.rows(age);
    expect(before).toBeGreaterThan(now);
    expect(envelope.data.database_age_before).toBeGreaterThanOrEqual(before);
    expect(envelope.data.database_age_after).toBeLessThan(before);
    const [oldest] = await on.rows(
      "SELECT max(age(relfrozenxid))::int AS age FROM pg_class WHERE relfrozenxid <> '0'",
    );
    expect(oldest.age).toBe(now);
  });

  test("a rebuild that waits too long for an old transaction fails, and the next one drops what it has left", async () => {
    const other = await clientOf(on.server);
    await other.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM bloated");
    const failed = await on.pgdba([
      "maintenance",
      "reindex",
      "bloated_a",
      "--lock-timeout",
      "500ms",
    ]);
    expect(failed.exit).toBe(1);
    expect(failed.envelope.error.message).toContain("bloated_a: ");
    const leftovers = () =>
      on.rows("SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid");
    expect(await leftovers()).toEqual([{ name: "bloated_a_ccnew" }]);
    await other.query("ROLLBACK");
    await other.end();
    const again = await on.pgdba(["maintenance", "reindex", "bloated_a"]);
    expect(again.envelope.data).toMatchObject({ rebuilt: 1, dropped: 1, failed: 0 });
    expect(await leftovers()).toEqual([]);
  });

  test("indexes that can't be rebuilt while others write are refused with what can be done", async () => {
    await on.client.query(
      "CREATE TABLE booked (r int4range, EXCLUDE USING gist (r WITH &&)); CREATE INDEX parted_a ON parted (a)",
    );
    for (const [index, said] of [
      ["booked_r_excl", "exclusion constraint"],
      ["parted_a", "index of a partitioned table"],
      ["pg_catalog.pg_class_oid_index", "system catalogue"],
    ] as const) {
      const { exit, envelope } = await on.pgdba(["maintenance", "reindex", index]);
      expect([exit, envelope.error.message]).toEqual([1, expect.stringContaining(said)]);
    }
    const table = await on.pgdba(["maintenance", "reindex", "--table", "parted"]);
    expect(table.envelope.data).toMatchObject({ rebuilt: 1, failed: 0 });
  });

  test("a checkpoint is written", async () => {
    await on.client.query("INSERT INTO fine SELECT generate_series(1, 50000)");
    const { exit, envelope } = await on.pgdba(["maintenance", "checkpoint"]);
    expect([exit, envelope.error]).toEqual([0, null]);
    expect(envelope.data.wal_bytes).toBeGreaterThan(1_000_000);
  });
});
