import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  clientOf,
  createDatabase,
  sharedServer,
  startServer,
  type TestServer,
  VERSIONS,
} from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";
import { read, run } from "./support.ts";

const HOSTILE = `"<script>alert('1')</script> ""Ünï"" ☃"`;

describe.each([...VERSIONS])("PostgreSQL %d", (version) => {
  let server: TestServer;
  let database: string;
  let bare: { host: string; port: number; database: string; user: string; password: string };

  beforeAll(async () => {
    server = await sharedServer(version);
    database = await createDatabase(server);
    const user = `bare${database}`;
    bare = { ...server, database, user, password: "secret" };
    await run(
      server,
      database,
      "create schema ext",
      "create extension pg_stat_statements schema ext",
      `create table ${HOSTILE} as select n, repeat('x', 100) as t from generate_series(1, 20000) n`,
      `create index on ${HOSTILE} (n)`,
      `select count(*) from ${HOSTILE} where n > 7`,
      `create role ${user} login password 'secret'`,
      `alter role ${user} password 'secret' valid until '2099-01-01'`,
      `alter role ${user} set work_mem = '7MB'`,
    );
  });
  afterAll(() => run(server, database, `drop owned by ${bare.user}`, `drop role ${bare.user}`));

  test("a superuser is told everything, with names as they are and passwords masked", async () => {
    const snapshot = await read({ ...server, database }, { top: 200 });
    expect(snapshot.missing).toEqual([]);
    expect(snapshot.server).toMatchObject({
      role: "primary",
      database,
      user: "postgres",
      node: `127.0.0.1:${server.port}`,
    });
    expect(snapshot.server.identity).toMatch(/^\d{15,}$/);
    expect(Math.floor(snapshot.server.version_num / 10_000)).toBe(version);

    const [largest] = snapshot.sizes.relations;
    expect(largest?.name).toBe(`public.${HOSTILE}`);
    expect(largest!.table_bytes + largest!.index_bytes + largest!.toast_bytes).toBe(largest!.bytes);
    expect(largest?.index_bytes).toBeGreaterThan(100_000);
    expect(snapshot.sizes.databases.find(({ name }) => name === database)?.bytes).toBeGreaterThan(
      largest!.bytes,
    );
    expect(snapshot.sizes.counts).toMatchObject({ tables: 1, indexes: 1 });

    const counting = snapshot.statements.top.find(
      ({ query, database: of }) => of === database && query.startsWith("select count(*)"),
    );
    expect(counting).toMatchObject({ calls: 1, rows: 1, user: "postgres" });
    expect(counting?.query).toEndWith("where n > $1");
    expect(
      snapshot.statements.top.some(({ query }) => /alter role \S+ password '\*\*\*'/.test(query)),
    ).toBeTrue();
    expect(JSON.stringify(snapshot)).not.toContain("'secret'");
    expect(snapshot.statements.top.some(({ query }) => query.includes("/* pgdba */"))).toBeFalse();

    const settings = new Map(
      snapshot.configuration.settings.map((setting) => [setting.name, setting]),
    );
    expect(settings.get("fsync")).toMatchObject({
      value: "off",
      default: "on",
      source: "configuration file",
    });
    expect(settings.get("fsync")?.where).toMatch(/postgresql\.conf:\d+$/);
    expect(settings.has("application_name")).toBeFalse();
    expect(settings.has("work_mem")).toBeFalse();
    expect(snapshot.configuration.role_settings).toContainEqual({
      database: null,
      role: bare.user,
      settings: ["work_mem=7MB"],
    });
    expect(snapshot.wal).toMatchObject({
      level: "replica",
      max_size: "1GB",
      checkpoints: { timed: expect.any(Number) },
    });
    expect(snapshot.wal.statistics === null).toBe(version < 14);
    expect(snapshot.backups).toMatchObject({
      archiver: { mode: "off", failing: false },
      tool: null,
      running: [],
    });
    expect(snapshot.connections).toMatchObject({ max: 100, reserved: 3, hidden: 0 });
  });

  test("a user without privileges is told what it may see, and the GRANT that shows the rest", async () => {
    const before = await read(bare);
    const monitor = `grant pg_monitor to ${bare.user};`;
    const schema = `grant usage on schema ext to ${bare.user};`;
    const denied = before.missing.filter(({ partial }) => !partial);
    expect(new Map(denied.map(({ section, hint }) => [section, hint]))).toEqual(
      new Map([
        ["statements", schema],
        ...(version >= 14 ? [["statements_info", schema] as const] : []),
        ["wal_files", monitor],
      ]),
    );
    expect(
      before.missing.filter(({ partial }) => partial).every(({ hint }) => hint === monitor),
    ).toBeTrue();
    expect(before.statements).toMatchObject({ available: false, hint: schema });
    expect(before.sizes.relations[0]?.name).toBe(`public.${HOSTILE}`);
    expect(before.wal.directory).toBeNull();

    await run(server, database, schema);
    const between = await read(bare);
    expect(between.statements.available).toBeTrue();
    // Those of others are counted instead of listed without a text.
    expect(JSON.stringify(between)).not.toContain("insufficient privilege");
    expect(between.statements.hidden).toBeGreaterThan(5);
    expect(between.statements.top.every(({ user }) => user === bare.user)).toBeTrue();
    expect(between.statements.entries).toBeGreaterThanOrEqual(
      between.statements.hidden + between.statements.top.length,
    );
    expect(between.counters.statements?.complete).toBeFalse();
    expect(between.missing.find(({ section }) => section === "statements")).toMatchObject({
      reason: expect.stringContaining(`statements of other users (${between.statements.hidden})`),
      hint: monitor,
      partial: true,
    });
    await run(server, database, monitor);
    const after = await read(bare);
    expect(after.missing).toEqual([]);
    expect(after.statements.hidden).toBe(0);
    expect(after.wal.directory?.files).toBeGreaterThan(0);
    expect(after.connections?.hidden).toBe(0);
  });

  test("a table that another session has locked is not waited for", async () => {
    const client = await clientOf(server, database);
    await client.query(`begin; lock table ${HOSTILE} in access exclusive mode`);
    const begun = performance.now();
    const { missing, sizes } = await read({ ...server, database });
    expect(performance.now() - begun).toBeLessThan(900);
    await client.end();
    expect(missing).toEqual([]);
    expect(
      sizes.relations.every(({ name, estimated }) => estimated === name.includes("script")),
    ).toBeTrue();
  });
});

test("without pg_stat_statements the report says how to get it", async () => {
  const server = await sharedServer();
  const { statements, missing } = await read({ ...server, database: await createDatabase(server) });
  expect(statements).toMatchObject({
    available: false,
    top: [],
    hint: expect.stringContaining("shared_preload_libraries"),
  });
  expect(missing).toEqual([]);
});

describe.each([13, 18] as const)("a standby of PostgreSQL %d", (version) => {
  let primary: TestServer;
  let standby: TestServer;

  beforeAll(async () => {
    const settings = {
      archive_mode: "on",
      archive_command: "/bin/true pgbackrest --repo-key=hunter2 %p",
    };
    primary = await startServer({ version, settings });
    standby = await startServer({
      version,
      settings,
      prepare: (dataDir) => cloneInto(dataDir, primary),
    });
    await run(primary, "postgres", "select pg_create_physical_replication_slot('forgotten', true)");
  }, 300_000);
  afterAll(() => Promise.all([primary?.stop(), standby?.stop()]));

  test("says what it receives, and the primary who receives from it", async () => {
    const below = await read({ ...standby, password: primary.password });
    expect(below.missing).toEqual([]);
    expect(below.server.role).toBe("standby");
    expect(below.replication.receiver).toMatchObject({
      status: "streaming",
      sender_port: primary.port,
      replay_paused: false,
    });
    const conninfo = below.configuration.settings.find(({ name }) => name === "primary_conninfo");
    expect(conninfo?.value).toContain("password=***");
    expect(JSON.stringify(below)).not.toContain(primary.password);

    const above = await read(primary);
    expect(above.missing).toEqual([]);
    expect(above.replication.standbys).toMatchObject([
      { name: "walreceiver", state: "streaming", sync_state: "async" },
    ]);
    expect(above.replication.standbys[0]?.lag_bytes).toBeGreaterThanOrEqual(0);
    expect(above.replication.slots).toMatchObject([
      { name: "forgotten", type: "physical", active: false, consumer: null },
    ]);
    expect(above.replication.slots[0]?.unread_bytes).toBe(
      above.replication.slots[0]?.retained_bytes ?? -1,
    );
    expect(above.backups).toMatchObject({ tool: "pgBackRest", archiver: { mode: "on" } });
    expect(JSON.stringify(above)).not.toContain("hunter2");
    expect(above.server.identity).toBe(below.server.identity);
  });
});
