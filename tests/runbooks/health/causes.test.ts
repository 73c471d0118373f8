import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Finding, flat } from "../../../steps/health/findings/findings.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";
import { examine, type Report, until } from "./support.ts";

/** `check` of each finding from the top down to the one that is looked for, with what is named there; null when it is not found. */
function pathTo(
  findings: readonly Finding[],
  is: (finding: Finding) => boolean,
): [string, string | null][] | null {
  for (const finding of findings) {
    const line: [string, string | null] = [finding.check, finding.object];
    if (is(finding)) return [line];
    const below = pathTo(finding.consequences, is);
    if (below !== null) return [line, ...below];
  }
  return null;
}

const pidOf = (client: Client): number => (client as unknown as { processID: number }).processID;

describe.each([13, 18] as const)("dead rows in PostgreSQL %d", (version) => {
  let server: TestServer;
  const clients: Client[] = [];
  const open = async (application_name = "shop-web"): Promise<Client> => {
    const client = await clientOf(server);
    clients.push(client);
    await client.query(`set application_name = '${application_name}'`);
    return client;
  };
  const run = async (...statements: string[]): Promise<void> => {
    const client = await clientOf(server);
    for (const sql of statements) await client.query(sql);
    await client.end();
  };
  /** Makes rows die, and has vacuum come by. */
  const die = async (vacuum = true): Promise<void> => {
    await run(
      'drop table if exists "Dead"',
      'create table "Dead" (id int primary key) with (autovacuum_vacuum_threshold = 1000000000)',
      'insert into "Dead" select n from generate_series(1, 40000) n',
    );
    await holding?.();
    // What a session has done is counted when it ends.
    await run('delete from "Dead" where id % 2 = 0');
    if (vacuum) await run('vacuum "Dead"');
  };
  let holding: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    const settings = {
      wal_level: "logical",
      max_prepared_transactions: 5,
      autovacuum_naptime: "1min",
      // Nobody else's snapshots, so that only what is planted holds.
      max_logical_replication_workers: 0,
    };
    server = await startServer({ version, settings });
  }, 300_000);
  afterAll(async () => {
    for (const client of clients) await client.end().catch(() => {});
    await server?.stop();
  });

  /** What stands above the dead rows of the table, once they are counted. */
  const above = async (wanted: number) => {
    const report = await until(
      () => examine(server, { only: ["dead-rows"] }),
      ({ findings }) => (pathTo(findings, isDead)?.length ?? 0) >= wanted,
    );
    return { report, path: pathTo(report.findings, isDead) };
  };
  const isDead = ({ check, object }: Finding) =>
    check === "dead-rows" && object === 'public."Dead"';

  test("without a cause are to be vacuumed", async () => {
    holding = undefined;
    await die(false);
    const { path, report } = await above(1);
    expect(path).toEqual([["dead-rows", 'public."Dead"']]);
    expect(report.findings[0]?.remedy.sql).toBe('vacuum (verbose, analyze) public."Dead";');
  }, 300_000);

  test("and all else that follows is due to autovacuum that is off for the table", async () => {
    await run(
      "create table off (id int, t text) with (autovacuum_enabled = off, autovacuum_freeze_max_age = 100000)",
      "alter table off alter t set storage external",
      "insert into off select n, repeat(md5(n::text), 100) from generate_series(1, 25000) n",
      "analyze off",
      "create procedure use_ids(n int) language plpgsql as 'begin for i in 1..n loop perform txid_current(); commit; end loop; end'",
      "call use_ids(52000)",
      "delete from off where id % 2 = 0",
    );
    const thresholds = {
      "freeze-overdue": { warning: 50 },
      "wraparound-database": { warning: 0 },
      "dead-rows": { min_rows: 1000 },
    };
    const due = [
      "dead-rows TOAST of public.off",
      "dead-rows public.off",
      "freeze-overdue public.off",
      "statistics-stale public.off",
      "vacuum-never public.off",
      "wraparound-database database postgres",
    ];
    const below = (report: Report) =>
      report.findings
        .filter(({ check }) => check === "autovacuum-off-table")
        .flatMap(({ consequences }) => consequences)
        .map(({ check, object }) => `${check} ${object}`)
        .toSorted();
    const report = await until(
      () => examine(server, { groups: ["vacuum", "statistics"], thresholds }),
      (answer) => below(answer).length >= due.length,
    );
    expect(below(report)).toEqual(due);
    await run("drop table off", "drop procedure use_ids");
  }, 300_000);

  test("that vacuum had to leave are due to the session whose snapshot sees them", async () => {
    const reader = await open();
    holding = async () =>
      void (await reader.query("begin isolation level repeatable read; select 1"));
    await die();
    const { path, report } = await above(3);
    const pid = `pid ${pidOf(reader)}`;
    expect(path).toEqual([
      ["idle-in-transaction", pid],
      ["horizon-held", expect.stringContaining(`${pid}, postgres in postgres (shop-web)`)],
      ["dead-rows", 'public."Dead"'],
    ]);
    const [cause] = report.findings;
    expect(cause?.severity).toBe("warning");
    // Idle for a few seconds, it may go on.
    expect(cause?.remedy).toMatchObject({ sql: null, command: null });
    const [rows] = flat(report.findings).filter(isDead);
    expect(rows?.remedy).toMatchObject({ sql: null, text: expect.stringContaining(pid) });
    expect(JSON.stringify(report)).not.toContain("vacuum (verbose");
    // A session that came after the vacuum, or works in another database, has nothing to do with it.
    await reader.query("commit");
    const late = await open();
    await late.query("begin isolation level repeatable read; select 1");
    expect((await above(1)).path).toEqual([["dead-rows", 'public."Dead"']]);
    await late.query("commit");
  }, 300_000);

  test("are due to a prepared transaction that nobody finished", async () => {
    holding = () =>
      run("begin", "create table in_it (n int)", "prepare transaction 'left; behind'");
    await die();
    const { path, report } = await above(3);
    await run("rollback prepared 'left; behind'");
    expect(path?.map(([check]) => check)).toEqual([
      "prepared-transactions",
      "horizon-held",
      "dead-rows",
    ]);
    expect(report.findings[0]?.remedy).toMatchObject({
      sql: null,
      runbook: "prepared/list",
      also: [],
    });
  }, 300_000);

  test("of the catalogues are due to a logical slot, those of other tables are not", async () => {
    await run("select pg_create_logical_replication_slot('cdc', 'pgoutput')");
    holding = undefined;
    await run(
      "do $$ begin for i in 1..300 loop execute format('create table t%s (a int, b int, c int)', i); end loop; end $$",
      "do $$ begin for i in 1..300 loop execute format('drop table t%s', i); end loop; end $$",
      "vacuum pg_catalog.pg_attribute",
    );
    await die();
    const input = {
      only: ["dead-rows", "slot-inactive"],
      thresholds: { "dead-rows": { min_rows: 100 } },
    };
    const isCatalogue = ({ check, object }: Finding) =>
      check === "dead-rows" && object === "pg_attribute";
    const report = await until(
      () => examine(server, input),
      ({ findings }) => (pathTo(findings, isCatalogue)?.length ?? 0) > 2,
    );
    await run("select pg_drop_replication_slot('cdc')");
    expect(pathTo(report.findings, isCatalogue)?.map(([check]) => check)).toEqual([
      "slot-inactive",
      "horizon-held",
      "dead-rows",
    ]);
    // Before 15 what vacuum did is counted some time after it.
    expect(pathTo(report.findings, isDead)?.length ?? 0).toBeLessThan(2);
    const [slot] = report.findings.filter(({ check }) => check === "slot-inactive");
    expect(slot?.evidence).toMatchObject({ plugin: "pgoutput", database: "postgres" });
    expect(Number(slot?.evidence["unread_bytes"])).toBeGreaterThan(0);
    // Its consumer may have gone a moment ago.
    expect(slot?.remedy).toMatchObject({ sql: null, runbook: "slot/list" });
    expect(slot?.evidence["last_used"]).toMatch(version >= 17 ? /^20\d\d-/ : /^$/);
  }, 300_000);

  test("are due to the lock that vacuum can't get past", async () => {
    const holder = await open("loader 7");
    holding = async () =>
      void (await holder.query('begin; lock table "Dead" in share update exclusive mode'));
    await die(false);
    const { path } = await above(3);
    await holder.query("commit");
    expect(path).toEqual([
      ["idle-in-transaction", `pid ${pidOf(holder)}`],
      ["vacuum-blocked", 'public."Dead"'],
      ["dead-rows", 'public."Dead"'],
    ]);
  }, 300_000);

  test("of a standby's feedback are due to the standby's query", async () => {
    await run("select pg_create_physical_replication_slot('standby_1')");
    const standby = await startServer({
      version,
      settings: {
        hot_standby_feedback: "on",
        wal_receiver_status_interval: "1s",
        max_prepared_transactions: 5,
      },
      prepare: async (dataDir) => {
        await cloneInto(dataDir, server);
        const { appendFile } = await import("node:fs/promises");
        await appendFile(`${dataDir}/postgresql.conf`, "primary_slot_name = 'standby_1'\n");
      },
    });
    try {
      const reader = await clientOf({ ...standby, password: server.password });
      clients.push(reader);
      await reader.query("begin isolation level repeatable read; select count(*) from pg_class");
      const client = await clientOf(server);
      await until(
        () => client.query("select xmin from pg_replication_slots where xmin is not null"),
        ({ rows }) => rows.length > 0,
      );
      await client.end();
      holding = undefined;
      await die();
      const { path, report } = await above(2);
      expect(path?.at(-2)).toEqual([
        "horizon-held",
        expect.stringMatching(/^slot standby_1 \(physical, used by walreceiver at 127/),
      ]);
      const [held] = flat(report.findings).filter(({ check }) => check === "horizon-held");
      expect(held?.remedy).toMatchObject({
        sql: null,
        text: expect.stringContaining("hot_standby_feedback"),
      });
    } finally {
      await standby.stop();
      await until(
        () =>
          run("select pg_drop_replication_slot('standby_1')").then(
            () => true,
            () => false,
          ),
        Boolean,
      );
    }
  }, 300_000);

  test("seventeen sessions of one application are one finding", async () => {
    const workers = await Promise.all(
      Array.from({ length: 17 }, (_, n) => open(`worker ${n} of shop`)),
    );
    const other = await open("billing");
    for (const client of [...workers, other]) await client.query("begin; select 1");
    const input = {
      only: ["idle-in-transaction"],
      thresholds: { "idle-in-transaction": { info: 1 } },
    };
    const report = await until(
      () => examine(server, input),
      ({ findings }) => findings.reduce((sum, { count }) => sum + count, 0) === 18,
    );
    expect(report.findings.map(({ count }) => count).toSorted()).toEqual([1, 17]);
    const [all] = report.findings.filter(({ count }) => count === 17);
    expect([all?.object, ...(all?.alike ?? []).map(({ object }) => object)].toSorted()).toEqual(
      workers.map((client) => `pid ${pidOf(client)}`).toSorted(),
    );
    for (const client of [...workers, other]) await client.query("commit");
  }, 300_000);

  test("transaction ids that run out, and tables that are not frozen, stand below who holds them", async () => {
    const names = Array.from({ length: 30 }, (_, n) => `aged${n}`);
    await run(
      ...names.map(
        (name) => `create table ${name} (n int) with (autovacuum_freeze_max_age = 100000)`,
      ),
      "begin",
      "create table in_it (n int)",
      "prepare transaction 'old'",
      "do $$ begin for i in 1..60000 loop perform txid_current(); commit; end loop; end $$",
    );
    const report = await examine(server, {
      groups: ["vacuum"],
      thresholds: {
        "wraparound-database": { warning: 0, critical: 0 },
        "freeze-overdue": { warning: 50 },
      },
    });
    await run("rollback prepared 'old'", ...names.map((name) => `drop table ${name}`));
    const [first] = report.findings;
    expect(first).toMatchObject({
      check: "prepared-transactions",
      object: "old",
      severity: "critical",
    });
    const [held] = first!.consequences;
    expect(held?.check).toBe("horizon-held");
    const below = held!.consequences.map(({ check, count }) => [check, count]);
    expect(below).toContainEqual(["wraparound-database", 1]);
    expect(below).toContainEqual(["freeze-overdue", 30]);
    expect(report.findings.filter(({ check }) => check === "freeze-overdue")).toEqual([]);
  }, 300_000);

  test("who waits for a prepared transaction stands below it", async () => {
    await run('drop table if exists "Held"', 'create table "Held" (id int primary key, n int)');
    await run('insert into "Held" values (1, 1)');
    await run("begin", 'update "Held" set n = 2', "prepare transaction 'left; behind'");
    const waiter = await open();
    const waiting = waiter.query('update "Held" set n = 3');
    const input = { only: ["lock-waits"], thresholds: { "lock-waits": { warning: 0 } } };
    const report = await until(
      () => examine(server, input),
      ({ findings }) => findings.length > 0,
    );
    expect(report.findings).toMatchObject([
      {
        check: "prepared-transactions",
        object: "left; behind",
        // It is seconds old: its transaction manager may be about to finish it.
        remedy: { sql: null, runbook: "prepared/list", also: [] },
        consequences: [{ check: "lock-waits", evidence: { waiting: [pidOf(waiter)] } }],
      },
    ]);
    await run("rollback prepared 'left; behind'");
    await waiting;
  }, 300_000);

  test("the victims of a lock stand below its root, in the order in which they wait", async () => {
    await run('create table "Rows" (id int primary key)', 'insert into "Rows" values (1), (2)');
    const [root, middle, leaf, ddl, reader] = (await Promise.all(
      ["app", "app", "app", "migration", "report"].map(open),
    )) as [Client, Client, Client, Client, Client];
    await root.query('begin; update "Rows" set id = 10 where id = 1');
    await middle.query('begin; update "Rows" set id = 20 where id = 2');
    const waiting: Promise<unknown>[] = [];
    const blocked = async (client: Client, sql: string) => {
      waiting.push(client.query(sql).catch(() => {}));
      const watcher = await clientOf(server);
      await until(
        () => watcher.query("select cardinality(pg_blocking_pids($1)) as n", [pidOf(client)]),
        ({ rows }) => rows[0].n > 0,
      );
      await watcher.end();
    };
    // One after the other: who comes behind the DDL waits for that one.
    await blocked(middle, 'update "Rows" set id = 11 where id = 1');
    await blocked(leaf, 'update "Rows" set id = 21 where id = 2');
    await blocked(ddl, 'alter table "Rows" add column n int');
    const input = {
      only: ["lock-waits", "long-queries", "ddl-waiting", "idle-in-transaction"],
      thresholds: {
        "lock-waits": { warning: 1, critical: 1e6 },
        "long-queries": { warning: 1, critical: 1e6 },
        "ddl-waiting": { warning: 1 },
        "idle-in-transaction": { info: 1 },
      },
    };
    const pids = [middle, leaf, ddl].map(pidOf);
    const seen = (report: { findings: Finding[] }) =>
      flat(report.findings).flatMap(({ check, evidence, alike }) =>
        check === "long-queries"
          ? [Number(evidence["pid"]), ...alike.map(({ object }) => Number(object?.slice(4)))]
          : [],
      );
    const report = await until(
      () => examine(server, input),
      (answer) => pids.every((pid) => seen(answer).includes(pid)) && answer.findings.length === 1,
    );
    const reads = reader.query("select 1");
    expect(report.findings.map(({ check, object }) => [check, object])).toEqual([
      ["idle-in-transaction", `pid ${pidOf(root)}`],
    ]);
    const [waits] = report.findings[0]!.consequences;
    expect(waits?.check).toBe("lock-waits");
    const tree = waits?.evidence["tree"] as { session: string; wants: string }[];
    expect(tree.map(({ session }) => session)).toEqual(
      expect.arrayContaining([`└ pid ${pids[0]}`, `  └ pid ${pids[1]}`]),
    );
    expect(tree.find(({ session }) => session.includes(`pid ${pids[2]}`))?.wants).toBe(
      'AccessExclusiveLock on public."Rows"',
    );
    expect(waits?.evidence["waiting"]).toEqual(expect.arrayContaining(pids));
    expect(waits?.consequences.map(({ check }) => check)).toEqual(
      expect.arrayContaining(["long-queries", "ddl-waiting"]),
    );
    await root.query("rollback");
    await middle.query("rollback").catch(() => {});
    await Promise.all([...waiting, reads]);
  }, 300_000);
});
