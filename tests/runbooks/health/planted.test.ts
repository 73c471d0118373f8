import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "pg";
import { flat } from "../../../steps/health/lib/findings.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { BY_SETTING, HOLDERS, PLANTS, SETTINGS } from "./plants.ts";
import { examine, libraryWithoutCauses, type Report, shortly, until } from "./support.ts";

describe.each([13, 18] as const)("problems planted in PostgreSQL %d", (version) => {
  let server: TestServer;
  const clients: Client[] = [];
  const plants = [BY_SETTING, ...PLANTS, HOLDERS].filter(({ from = 13 }) => version >= from);
  const thresholds = Object.assign({}, ...plants.map((plant) => plant.thresholds ?? {}));

  const open = async (user = "postgres", password = server.password): Promise<Client> => {
    const client = await clientOf({ ...server, user, password });
    clients.push(client);
    return client;
  };
  const query = async (sql: string): Promise<void> => {
    const client = await clientOf(server);
    for (const statement of statements(sql)) await client.query(statement);
    await client.end();
  };

  beforeAll(async () => {
    server = await startServer({ version, settings: SETTINGS });
    await query(
      plants
        .filter((plant) => plant !== HOLDERS)
        .map(({ sql }) => sql)
        .join(";"),
    );
    for (const sql of DISTURBANCES) await query(`set search_path = "Ödd ""Schema"; ${sql}`);
    await query(HOLDERS.sql);
    await open("Few", "few");
    await deadlock(await clientOf(server), await clientOf(server));
  }, 60_000);
  afterAll(async () => {
    for (const client of clients) await client.end().catch(() => {});
    await server?.stop();
  });

  test("are all found", async () => {
    const wanted = plants.flatMap(({ finds }) => finds);
    const report = await until(
      () => examine(server, { thresholds }),
      (answer) => missing(answer, wanted).length === 0,
    );
    expect(missing(report, wanted)).toEqual([]);
    expect(report.errors).toEqual([]);
  }, 30_000);

  test("are gone once their remedies have been run as written", async () => {
    const only = [...REMEDIED];
    // What stands below its cause has no remedy of its own.
    const look = () => examine(server, { only, thresholds }, libraryWithoutCauses());
    const before = await look();
    for (const name of REMEDIED)
      expect(before.findings.map((finding) => finding.check)).toContain(name);
    for (const { remedy } of before.findings) {
      if (remedy.sql !== null && !remedy.sql.startsWith("--")) await query(remedy.sql);
    }
    const after = await until(look, (answer) => answer.findings.length === 0);
    expect(shortly(after)).toEqual([]);
  }, 30_000);
});

describe.each([13, 18] as const)("trouble in PostgreSQL %d", (version) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer({
      version,
      settings: { archive_mode: "on", archive_command: "false" },
    });
  }, 30_000);
  afterAll(() => server?.stop());

  test("sessions that idle, run long, block and are blocked are named, the root of the blocking above all", async () => {
    const [root, middle, leaf, ddl, slow] = (await Promise.all(
      [1, 2, 3, 4, 5].map(() => clientOf(server)),
    )) as [Client, Client, Client, Client, Client];
    await root.query(`create table "T;1" (id int primary key); insert into "T;1" values (1), (2)`);
    await root.query("begin");
    await root.query(`update "T;1" set id = 10 where id = 1`);
    await middle.query(`begin; update "T;1" set id = 20 where id = 2`);
    const freed = middle.query(`update "T;1" set id = 11 where id = 1`);
    await Bun.sleep(50);
    const waiting = leaf.query(`update "T;1" set id = 21 where id = 2`);
    const altering = ddl.query(`alter table "T;1" add column n int`);
    await slow.query("begin");
    const slept = slow.query("select pg_sleep(1.1)").then(() => slow.query("select pg_sleep(60)"));
    const outcomes = Promise.allSettled([
      freed.then(() => middle.query("commit")),
      waiting,
      altering,
      slept,
    ]);

    const zero = { warning: 0, critical: 1e6 };
    const input = {
      only: [
        "idle-in-transaction",
        "lock-waits",
        "ddl-waiting",
        "long-queries",
        "long-transactions",
      ],
      thresholds: {
        "idle-in-transaction": zero,
        "lock-waits": { warning: 2, critical: 1e6 },
        "ddl-waiting": { warning: 0 },
        "long-queries": zero,
        "long-transactions": zero,
      },
    };
    const pid = (client: Client): number => (client as unknown as { processID: number }).processID;
    const wanted = [
      `warning ddl-waiting public."T;1"`,
      `warning idle-in-transaction pid ${pid(root)}`,
      `warning lock-waits pid ${pid(root)}`,
      ...[middle, leaf, slow, ddl].map((client) => `warning long-queries pid ${pid(client)}`),
      `warning long-transactions pid ${pid(slow)}`,
    ];
    const report = await until(
      () => examine(server, input),
      (answer) => missing(answer, wanted).length === 0,
    );
    expect(missing(report, wanted)).toEqual([]);
    const waits = flat(report.findings).filter((finding) => finding.check === "lock-waits");
    expect(waits.map(({ evidence }) => [evidence["pid"], evidence["waiters"]])).toEqual([
      [pid(root), 3],
    ]);

    const admin = await clientOf(server);
    const [roots, slows] = ["idle-in-transaction", "long-transactions"].map((name) =>
      report.findings.find(({ check }) => check === name),
    );
    expect(roots?.remedy.sql).toBe(`select pg_terminate_backend(${pid(root)});`);
    for (const found of [roots, slows]) await admin.query(found?.remedy.sql ?? "");
    expect((await outcomes).map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
    ]);
    for (const client of [middle, leaf, ddl, slow, admin]) await client.end();
    expect(shortly(await examine(server, input))).toEqual([]);
  }, 30_000);

  test("an archiver that fails, and a backlog", async () => {
    const client = await clientOf(server);
    await client.query("select pg_switch_wal(); create table w (); select pg_switch_wal()");
    const only = ["archiver-failing", "archive-backlog", "archive-command-empty"];
    const thresholds = { "archive-backlog": { warning: 2 }, "archiver-failing": { critical: 1e6 } };
    const ask = () => examine(server, { only, thresholds });
    const report = await until(ask, (answer) => flat(answer.findings).length === 2);
    expect(report.findings).toMatchObject([
      {
        check: "archiver-failing",
        severity: "warning",
        consequences: [{ check: "archive-backlog", severity: "warning" }],
      },
    ]);
    await client.query("alter system set archive_command = ''");
    await client.query("select pg_reload_conf()");
    await client.end();
    const later = await until(ask, (answer) => flat(answer.findings).length === 3);
    expect(later.findings.map((finding) => finding.check)).toContain("archive-command-empty");
  }, 30_000);

  test("configuration files with errors, and a line that trusts everyone", async () => {
    const hba = join(server.dataDir, "pg_hba.conf");
    const before = await readFile(hba, "utf8");
    const added = before.split("\n").length;
    await writeFile(hba, `${before}host all all 0.0.0.0/0 trust\nhost all all nonsense\n`);
    await appendFile(
      join(server.dataDir, "postgresql.conf"),
      "\nno_such_setting = 1\nlisten_addresses = '*'\n",
    );
    const report = await examine(server, { only: ["hba-*", "file-settings-errors"] });
    await writeFile(hba, before);
    const found = shortly(report);
    expect(found).toContain(`critical hba-trust pg_hba.conf:${added}`);
    expect(found).toContain(`critical hba-errors pg_hba.conf:${added + 1}`);
    expect(found.filter((line) => line.startsWith("critical file-settings-errors "))).toHaveLength(
      1,
    );
  });

  test("a crash that the postmaster survived", async () => {
    const only = ["crash-restart"];
    const thresholds = { "crash-restart": { grace: 0.5 } };
    const ask = () => examine(server, { only, thresholds });
    expect(shortly(await ask())).toEqual([]);
    const victim = await clientOf(server);
    process.kill((victim as unknown as { processID: number }).processID, "SIGKILL");
    const report = await until(
      () => ask().catch(() => undefined),
      (answer) => answer?.findings.length === 1,
    );
    expect(shortly(report as Report)).toEqual(["warning crash-restart"]);
  }, 30_000);
});

/** Their remedies can be run by a test, and are complete by themselves. */
const REMEDIED = [
  "index-duplicate",
  "index-redundant",
  "bloat-index",
  "bloat-table",
  "dead-rows",
  "autovacuum-off-table",
  "statistics-stale",
  "statistics-never",
  "freeze-overdue",
  "constraint-not-valid",
  "trigger-disabled",
  "policy-without-rls",
  "security-definer-path",
  "password-expiring",
  "dangerous-grants",
  "extension-outdated",
  "fk-without-index",
  "slot-inactive",
  "prepared-transactions",
];

function missing(report: Report, wanted: string[]): string[] {
  const found = shortly(report);
  return wanted.filter((line) => !found.includes(line));
}

/** The statements of `sql`, so that those which refuse a transaction block get none: it ends at each semicolon outside of quotes. */
function statements(sql: string): string[] {
  return (
    sql.match(/(?:\$\$.*?\$\$|'[^']*'|"[^"]*"|[^;'"$])+/gs)?.filter((part) => part.trim() !== "") ??
    []
  );
}

/** Each in a session of its own: what it did is counted when that ends. */
const DISTURBANCES = [
  `vacuum analyze "Bloat"; vacuum analyze "Dead"; vacuum analyze "Scanned"`,
  `do $$ begin for i in 1..60 loop perform count(*) from "Scanned" where a < 0; end loop; for i in 1..120 loop perform 1 from "Scanned" where id = i; end loop; end $$`,
  `delete from "Bloat" where id % 20 <> 0; delete from "Dead" where id % 2 = 0`,
  `vacuum "Bloat"`,
  `do $$ begin for i in 1..51000 loop begin insert into "Also" values (1); exception when others then null; end; end loop; end $$`,
  `checkpoint; select pg_switch_wal(); checkpoint; select pg_reload_conf()`,
];

async function deadlock(a: Client, b: Client): Promise<void> {
  await a.query("begin; select pg_advisory_xact_lock(1)");
  await b.query("begin; select pg_advisory_xact_lock(2)");
  const outcomes = await Promise.allSettled([
    a.query("select pg_advisory_xact_lock(2)"),
    b.query("select pg_advisory_xact_lock(1)"),
  ]);
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  // Their counts arrive when they end.
  await a.end();
  await b.end();
}
