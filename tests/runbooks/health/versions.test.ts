import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { inVersions } from "../../../steps/health/examine/select.ts";
import {
  clientOf,
  createDatabase,
  reload,
  sharedServer,
  startServer,
  type TestServer,
  type Version,
  VERSIONS,
} from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";
import { document, libraryOf } from "../../steps/health/support.ts";
import { examine, libraryWith, shortly, until } from "./support.ts";

/** A small schema with nothing wrong in it. */
const CLEAN = `
  create extension pg_stat_statements;
  create schema "Shop";
  create table "Shop"."Kunde" (id bigint generated always as identity primary key, "E-Mail" text not null unique, name text);
  create table "Shop"."Auftrag" (id bigint generated always as identity primary key, kunde bigint not null references "Shop"."Kunde", betrag numeric);
  create index on "Shop"."Auftrag" (kunde);
  create index on "Shop"."Auftrag" (betrag);
  insert into "Shop"."Kunde" ("E-Mail", name) select n || '@example.com', 'Kunde ' || n from generate_series(1, 12000) n;
  insert into "Shop"."Auftrag" (kunde, betrag) select 1 + n % 12000, n from generate_series(1, 12000) n;
  create view "Shop"."Umsatz" as select kunde, sum(betrag) from "Shop"."Auftrag" group by kunde;
  create function "Shop"."Summe"() returns numeric language sql as 'select sum(betrag) from "Shop"."Auftrag"'`;

/** What tests do to be fast, and what time has done to old versions. */
function expected(version: Version): string[] {
  const endOfLife = new Date() > new Date("2026-11-12") ? 14 : 13;
  return [
    "fsync-off",
    "full-page-writes-off",
    "synchronous-commit-off",
    ...(version <= endOfLife ? ["version-end-of-life"] : []),
  ];
}

/** Before 15 a collector process learns of an ANALYZE by a message, some time after it is done. */
async function analysed(server: TestServer, database: string): Promise<void> {
  const client = await clientOf(server, database);
  for (const ends = performance.now() + 30_000; performance.now() < ends;) {
    const { rows } = await client.query(
      "select count(*)::int as n from pg_stat_user_tables where last_analyze is null",
    );
    if (rows[0].n === 0) break;
    await Bun.sleep(100);
  }
  await client.end();
}

async function plainUsers(server: TestServer, database: string): Promise<void> {
  const client = await clientOf(server, database);
  await client.query(`
    create role "Mon itor" login password 'secret'; grant pg_monitor to "Mon itor";
    create role bare login password 'secret'`);
  await client.end();
}

describe.each([...VERSIONS])("PostgreSQL %d", (version) => {
  let server: TestServer;
  let database: string;

  beforeAll(async () => {
    server = await sharedServer(version);
    database = await createDatabase(server);
    // In two sessions: what one has written is counted when it ends, and ANALYZE must come after that.
    for (const sql of [CLEAN, "vacuum analyze"]) {
      const client = await clientOf(server, database);
      await client.query(sql);
      await client.end();
    }
    await analysed(server, database);
    await plainUsers(server, database);
  });
  afterAll(async () => {
    const client = await clientOf(server);
    await client.query(`drop role "Mon itor"; drop role bare`);
    await client.end();
  });

  test("a superuser runs every check of this version, and a clean database gives neither warning nor alarm", async () => {
    const report = await examine({ ...server, database });
    expect(report.errors).toEqual([]);
    // How many standbys there must be, nobody says; the statistics are young, and before 18 checksums and always timing are off.
    expect(report.partial.map(({ check }) => check)).toEqual(["index-unused"]);
    expect(
      report.skipped
        .filter(({ code }) => code !== "version" && code !== "role")
        .map(({ check, code }) => `${check} ${code}`),
    ).toEqual([
      ...(version < 18 ? ["checksum-failures unknown"] : []),
      "io-slow unknown",
      "standbys-missing unknown",
    ]);
    expect(report.server).toMatchObject({ version, role: "primary", superuser: true, database });
    const loud = report.findings
      .filter(({ severity }) => severity !== "info")
      .map((finding) => finding.check)
      // Tests that share the server ask it for checkpoints.
      .filter((name) => name !== "checkpoints-requested");
    expect(loud.toSorted()).toEqual(expected(version));
    expect(report.findings.filter(({ object }) => /Shop/.test(object ?? ""))).toEqual([]);
  });

  test("a member of pg_monitor sees all but what only superusers may, and is told so", async () => {
    const report = await examine({ ...server, database, user: "Mon itor", password: "secret" });
    expect(report.errors).toEqual([]);
    const privileged = report.skipped.filter(({ code }) => code === "privilege");
    expect(privileged.map((skip) => skip.check).toSorted()).toEqual([
      "file-settings-errors",
      "hba-errors",
      "hba-trust",
      "login-without-password",
      "password-md5",
      "restart-would-fail",
    ]);
    expect(privileged.find((skip) => skip.check === "hba-trust")?.hint).toContain(
      'grant select on pg_hba_file_rules to "Mon itor"',
    );
    const named = report.partial.filter(({ check }) => check !== "index-unused");
    // It reads no rows of others.
    expect(named.map(({ check, object }) => [check, object])).toEqual([
      ["sequence-behind", "sequences"],
    ]);
  });

  test("the GRANT that is named gives a user without privileges what it lacks", async () => {
    const bare = { ...server, database, user: "bare", password: "secret" };
    const before = await examine(bare);
    expect(before.errors).toEqual([]);
    const lacking = before.skipped.filter(({ code }) => code === "privilege");
    expect(lacking.length).toBeGreaterThan(15);
    const limited = before.partial.filter(({ code }) => code === "privilege");
    const grants = [...lacking, ...limited].map((note) => note.hint ?? "");
    for (const hint of grants) expect(hint).toMatch(/^(grant|-- )/);

    const client = await clientOf(server, database);
    for (const grant of new Set(grants)) await client.query(grant.replace("SCHEMA", '"Shop"'));
    await client.query(`grant usage on schema "Shop" to bare`);
    const after = await examine(bare);
    await client.query("drop owned by bare");
    await client.end();
    expect(after.errors).toEqual([]);
    expect(
      after.skipped.filter(({ code }) => code === "privilege").map((skip) => skip.check),
    ).toEqual(["login-without-password", "password-md5", "restart-would-fail"]);
  });
});

describe.each([13, 18] as const)("a standby of PostgreSQL %d", (version) => {
  let primary: TestServer;
  let standby: TestServer;

  beforeAll(async () => {
    const settings = { wal_level: "replica", shared_preload_libraries: "pg_stat_statements" };
    primary = await startServer({ version, settings });
    await plainUsers(primary, "postgres");
    standby = await startServer({
      version,
      settings,
      prepare: (dataDir) => cloneInto(dataDir, primary),
    });
  }, 300_000);
  afterAll(() => Promise.all([primary?.stop(), standby?.stop()]));

  test("runs every check that applies to it, as whoever asks", async () => {
    for (const user of ["postgres", "Mon itor", "bare"]) {
      const password = user === "postgres" ? primary.password : "secret";
      const report = await examine({ ...standby, user, password });
      expect(report.errors).toEqual([]);
      expect(report.server).toMatchObject({ version, role: "standby" });
      expect(report.skipped.filter(({ code }) => code === "unavailable")).toEqual([]);
      expect(report.skipped.find(({ check }) => check === "horizon-held")?.code).toBe("role");
      const loud = report.findings
        .filter(({ severity }) => severity !== "info")
        .map((finding) => finding.check);
      expect(loud.toSorted()).toEqual(expected(version));
    }
  });

  test("a check that replay cuts off is run again", async () => {
    const place = { ...standby, password: primary.password };
    const here = await clientOf(place);
    await here.query("alter system set max_standby_streaming_delay = 0");
    await reload(here);
    const there = await clientOf(primary);
    await there.query("create table seen as select n from generate_series(1, 1000) n");
    const sleeping = () =>
      here.query("select count(*)::int as n from pg_stat_activity where wait_event = 'PgSleep'");
    const counted = () =>
      here.query("select count(*)::int as n from pg_class where relname = 'seen'");
    await until(counted, ({ rows }) => rows[0].n === 1);
    const library = await libraryOf({
      slow: document("select 1 as one from pg_sleep(2)"),
    });
    const examined = examine(place, {}, library);
    await until(sleeping, ({ rows }) => rows[0].n === 1);
    await there.query("delete from seen");
    await there.query("vacuum (truncate off) seen");
    expect((await examined).errors).toEqual([]);
    expect((await examined).findings).toHaveLength(1);
    const conflicts = await until(
      () => here.query("select sum(confl_snapshot)::int as n from pg_stat_database_conflicts"),
      ({ rows }) => rows[0].n > 0,
    );
    expect(conflicts.rows[0].n).toBeGreaterThan(0);
    await here.query("select pg_stat_reset()");
    await here.query("alter system reset max_standby_streaming_delay");
    await reload(here);
    await here.end();
    await there.end();
  });

  test("says when replay is paused and when nothing is received any more", async () => {
    const client = await clientOf({ ...standby, password: primary.password });
    await client.query("select pg_wal_replay_pause()");
    const only = ["replay-paused", "standby-not-receiving"];
    const place = { ...standby, password: primary.password };
    expect(shortly(await examine(place, { only }))).toEqual(["warning replay-paused"]);
    await client.query("select pg_wal_replay_resume()");
    await client.end();

    const seen = { only: ["standbys-missing", "standby-not-streaming", "replication-lag"] };
    const expecting = {
      ...seen,
      thresholds: { "standbys-missing": { expected: 2 }, "replication-lag": { warning_bytes: 0 } },
    };
    expect(shortly(await examine(primary, seen))).toEqual([]);
    expect(shortly(await examine(primary, expecting))).toEqual([
      "warning replication-lag standby walreceiver",
      "warning standbys-missing",
    ]);
    await primary.stop();
    expect(
      await until(
        () => examine(place, { only }),
        (report) => report.findings.length > 0,
      ),
    ).toMatchObject({
      findings: [{ check: "standby-not-receiving", severity: "critical" }],
    });
  });
});

test("every check is run on some version and role", async () => {
  const library = libraryWith();
  for (const { name } of library.entries("check")) {
    const { data } = await library.load(name);
    const range = data["versions"] as string | undefined;
    expect(VERSIONS.some((version) => inVersions(range, version))).toBeTrue();
  }
});
