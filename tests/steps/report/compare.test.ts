import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Snapshot } from "../../../steps/report/collect/shape.ts";
import { surplus } from "../../../steps/snapshots.ts";
import { clientOf, createDatabase, sharedServer, VERSIONS } from "../../support/postgres.ts";
import { compared, folder, read, removeFolders, run } from "./support.ts";

afterAll(removeFolders);

const HOUR = 3_600_000;

type Writable<T> = { -readonly [K in keyof T]: Writable<T[K]> };
type Counters = Writable<Snapshot["counters"]>;

/** The same server `hours` later, with what `change` does to its counters. */
function later(
  snapshot: Snapshot,
  hours: number,
  change: (counters: Counters) => void = () => {},
): Snapshot {
  const copy = structuredClone(snapshot) as Writable<Snapshot>;
  copy.counters.taken_at = new Date(
    Date.parse(snapshot.counters.taken_at) + hours * HOUR,
  ).toISOString();
  change(copy.counters);
  return copy;
}

async function aSnapshot(): Promise<Snapshot> {
  const server = await sharedServer();
  const database = await createDatabase(server);
  await run(
    server,
    database,
    "create extension pg_stat_statements",
    "create table grows as select generate_series(1, 1000) n",
  );
  const snapshot = (await read({ ...server, database })) as Writable<Snapshot>;
  // Only what the tests change.
  snapshot.counters.databases = { [database]: snapshot.counters.databases[database]! };
  return snapshot;
}

test("what two real reports see: growth, work done in between, and new and gone findings", async () => {
  const server = await sharedServer();
  const database = await createDatabase(server);
  const stateDir = folder();
  await run(
    server,
    database,
    "create extension pg_stat_statements",
    "create table grows as select generate_series(1, 1000) n",
  );
  const finding = (check: string, severity = "warning") => ({ severity, check, object: "x" });
  const first = await compared(stateDir, await read({ ...server, database }), {
    findings: [finding("a"), finding("b", "critical")],
  });
  expect(first.trends).toMatchObject({
    snapshots: 0,
    since: null,
    size: null,
    statements: [],
    findings: { new: [], gone: [] },
  });
  expect(first.trends.series).toMatchObject([
    { critical: 1, warning: 1, transactions_per_second: null },
  ]);

  await run(
    server,
    database,
    "insert into grows select generate_series(1, 50000)",
    ...Array(5).fill("select count(*) from grows where n < 10"),
  );
  const second = await compared(stateDir, await read({ ...server, database }), {
    findings: [finding("b", "critical"), finding("c")],
  });
  const { trends } = second;
  expect(trends.snapshots).toBe(1);
  expect(trends.seconds).toBeGreaterThan(0);
  expect(trends.relations).toMatchObject([
    { name: "public.grows", grown: expect.stringMatching(/MB$/) },
  ]);
  expect(trends.relations[0]?.grown_bytes).toBeGreaterThan(1_500_000);
  expect(trends.databases[0]).toMatchObject({ name: database });
  expect(trends.size?.grown_bytes).toBeGreaterThan(1_500_000);
  expect(trends.transactions_per_second).toBeGreaterThan(0);
  expect(trends.wal_bytes_per_second).toBeGreaterThan(0);
  const counting = trends.statements.filter(({ query }) =>
    query?.startsWith("select count(*) from grows"),
  );
  expect(counting).toMatchObject([{ calls: 5, database, rows: 5 }]);
  expect(trends.findings).toEqual({ new: [finding("c")], gone: [finding("a")] });
  expect(trends.series.map(({ critical }) => critical)).toEqual([1, 1]);
});

describe.each([VERSIONS.at(0)!, VERSIONS.at(-1)!])("PostgreSQL %d", (version) => {
  const bytesOf = async (client: Awaited<ReturnType<typeof clientOf>>) =>
    Number((await client.query("select pg_database_size(current_database()) as n")).rows[0].n);

  test("new tables explain what the database has grown by, renamed ones and those made anew do not", async () => {
    const server = await sharedServer(version);
    const database = await createDatabase(server);
    const stateDir = folder();
    // Autovacuum would give small tables their maps in between, or take their last pages.
    const still = "with (autovacuum_enabled = off)";
    const rows = (to: number) => `select n, repeat('x', 100) as t from generate_series(1, ${to}) n`;
    await run(
      server,
      database,
      `create table stays ${still} as ${rows(1000)}`,
      `create table renamed ${still} as ${rows(20_000)}`,
      `create table nightly ${still} as ${rows(20_000)}`,
      `create table swapped ${still} as ${rows(20_000)}`,
      "create table wide (id int, doc text); alter table wide alter doc set storage external",
    );
    const client = await clientOf(server, database);
    const early = await clientOf(server, database);
    try {
      // Made before the first report, and there only after it.
      await early.query(`begin; create table early as ${rows(30_000)}`);
      await client.query("create table later_than_early ()");
      const then = await bytesOf(client);
      await compared(stateDir, await read({ ...server, database }));
      await early.query("commit");
      await run(
        server,
        database,
        `create table fresh as ${rows(100_000)}`,
        "create index on fresh (n)",
        "insert into wide select n, repeat(md5(n::text), 500) from generate_series(1, 300) n",
        `insert into stays ${rows(2000)}`,
        "alter table renamed rename to another_name",
        "drop table nightly",
        `create table nightly ${still} as ${rows(20_100)}`,
        "alter table swapped rename to swapped_old",
        `create table swapped ${still} as ${rows(21_000)}`,
      );
      const grown = (await bytesOf(client)) - then;
      const { trends } = await compared(stateDir, await read({ ...server, database }));
      const by = new Map(trends.relations.map((row) => [row.name, row]));
      for (const name of ["fresh", "early", "swapped"])
        expect(by.get(`public.${name}`)!.grown_bytes).toBe(by.get(`public.${name}`)!.bytes);
      expect(by.has("public.another_name")).toBeFalse();
      expect(by.has("public.swapped_old")).toBeFalse();
      expect(Math.abs(by.get("public.nightly")?.grown_bytes ?? 0)).toBeLessThan(200_000);
      expect(trends.relations[0]?.name).toBe("public.fresh");
      const explained = trends.relations.reduce((sum, { grown_bytes }) => sum + grown_bytes, 0);
      // What it made before the first report already, of the table that was not there yet, is no growth of the database.
      const known = by.get("public.early")!.bytes;
      expect(explained - known).toBeGreaterThan(0.95 * grown);
      expect(explained - known).toBeLessThan(1.05 * grown);
    } finally {
      await client.end();
      await early.end();
    }
  });

  test("of more tables than a report lists the new ones grew, the others may just have been too small for it", async () => {
    const server = await sharedServer(version);
    const database = await createDatabase(server);
    const stateDir = folder();
    const client = await clientOf(server, database);
    await client.query(
      `do $$ begin for n in 1..110 loop execute format('create table t%s with (autovacuum_enabled = off) as select generate_series(1, 5000)', n); end loop; end $$`,
    );
    await client.query("create table small ()");
    await client.query("alter table small add n int");
    await compared(stateDir, await read({ ...server, database }));
    await client.query("insert into small select generate_series(1, 100000)");
    await client.query("create table fresh as select generate_series(1, 100000)");
    await client.end();
    const { trends } = await compared(stateDir, await read({ ...server, database }));
    expect(trends.relations.map(({ name }) => name)).toEqual(["public.fresh"]);
    expect(trends.relations[0]?.grown_bytes).toBe(trends.relations[0]?.bytes);
  });
});

test("a database that is new grew, one that is gone shrank, and what one side may not see is no change", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  const [name, figures] = Object.entries(snapshot.counters.databases)[0]!;
  const of = (bytes: number | null) => ({ ...figures, bytes });
  const before = later(snapshot, 0, (counters) => {
    counters.databases = { [name]: of(100), gone: of(40), hidden: of(1000) };
    counters.database_oids = { [name]: 20_000, gone: 20_001, hidden: 20_002 };
    counters.newest_oid = 20_100;
  });
  await compared(stateDir, before);
  const now = later(snapshot, 1, (counters) => {
    counters.databases = { [name]: of(110), made: of(7), hidden: of(null), template1: of(9) };
    counters.database_oids = { [name]: 20_000, made: 20_200, hidden: 20_002, template1: 1 };
  });
  const { trends } = await compared(stateDir, now, { store: false });
  expect(trends.size).toMatchObject({ grown_bytes: 10 + 7 - 40, bytes_per_day: -23 * 24 });
  expect(trends.databases).toMatchObject([
    { name, grown_bytes: 10 },
    { name: "made", grown_bytes: 7, bytes: 7 },
  ]);
});

test("growth is told after any time, growth per day only after an hour", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  await compared(stateDir, snapshot);
  const after = async (hours: number) => {
    const now = later(snapshot, hours, (counters) => {
      for (const each of Object.values(counters.databases)) each.bytes! += 1_000_000;
    });
    return (await compared(stateDir, now, { store: false })).trends.size;
  };
  expect(await after(0.002)).toMatchObject({ grown_bytes: 1_000_000, bytes_per_day: null });
  expect(await after(0.99)).toMatchObject({ grown_bytes: 1_000_000, bytes_per_day: null });
  expect(await after(1)).toMatchObject({ grown_bytes: 1_000_000, bytes_per_day: 24_000_000 });
});

test("a snapshot of before oids were kept is compared with by name", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  const { file } = await compared(stateDir, snapshot);
  const kept = JSON.parse(readFileSync(file!, "utf8"));
  for (const key of ["newest_oid", "database_oids", "relation_oids", "relations_complete"])
    delete kept.counters[key];
  writeFileSync(file!, JSON.stringify(kept));
  const now = later(snapshot, 1, (counters) => {
    counters.relations["public.grows"]! += 8192;
    counters.relations["public.unknown"] = 5;
    counters.relation_oids["public.unknown"] = 4_000_000_000;
  });
  const { trends } = await compared(stateDir, now, { store: false });
  expect(trends.relations).toMatchObject([{ name: "public.grows", grown_bytes: 8192 }]);
  expect(trends.size?.grown_bytes).toBe(0);
});

test("all databases are one figure: the sum of those listed, in the report, in its history and in the server", async () => {
  const server = await sharedServer();
  const snapshot = await read(server);
  const { trends } = await compared(folder(), snapshot);
  const { databases, total_bytes } = snapshot.sizes;
  expect(databases.map(({ name }) => name)).toContain("template0");
  expect(total_bytes).toBe(databases.reduce((sum, { bytes }) => sum + bytes!, 0));
  expect(trends.series.at(-1)?.bytes).toBe(total_bytes);
});

test("the files are the user's alone, hold no text of a query, and others' nodes and databases are not mixed in", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  const { file } = await compared(stateDir, snapshot);
  expect(dirname(file!)).toBe(join(stateDir, "snapshots", snapshot.server.identity!));
  expect(statSync(file!).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(file!)).mode & 0o777).toBe(0o700);
  expect(readdirSync(dirname(file!))).toHaveLength(1);
  expect(readFileSync(file!, "utf8")).not.toMatch(/select|create/i);

  const next = (change: (counters: Counters) => void) =>
    compared(stateDir, later(snapshot, 1, change), { store: false });
  expect((await next(() => {})).trends.snapshots).toBe(1);
  expect(
    (await next((counters) => (counters.node = counters.node.replace("127.0.0.1", "local")))).trends
      .snapshots,
  ).toBe(1);
  expect((await next((counters) => (counters.node = "10.0.0.2:5432"))).trends.snapshots).toBe(0);
  expect((await next((counters) => (counters.database = "another"))).trends.snapshots).toBe(0);
  const nameless = { ...snapshot, server: { ...snapshot.server, identity: null } };
  expect((await compared(stateDir, nameless)).file).toContain("/snapshots/node-");
});

test("what a server says of itself leads to no file elsewhere", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  const elsewhere = { ...snapshot, server: { ...snapshot.server, identity: "../../etc" } };
  expect((await compared(stateDir, elsewhere)).file).toContain("/snapshots/node-");
  const timeless = { ...snapshot, counters: { ...snapshot.counters, taken_at: "../../x" } };
  expect(await compared(stateDir, timeless).catch((error: unknown) => error)).toMatchObject({
    code: "step_failed",
  });
  expect(readdirSync(stateDir)).toEqual(["snapshots"]);
});

test("nothing is kept when told not to, nor by a plan", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  expect((await compared(stateDir, snapshot, { store: false })).file).toBeNull();
  expect((await compared(stateDir, snapshot, {}, { plan: true })).file).toBeNull();
  expect(readdirSync(stateDir)).toEqual([]);
});

test("a file that is no snapshot is named, and keeps no other from being compared with", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  const { file } = await compared(stateDir, snapshot);
  const broken = join(dirname(file!), basename(file!).replace(/^\d{4}/, "2001"));
  for (const text of ["{", "null", '{"format": 2}', '{"format": 1, "counters": null}']) {
    writeFileSync(broken.replace("2001", `20${10 + text.length}`), text);
  }
  writeFileSync(join(dirname(file!), "notes.txt"), "mine");
  const { trends, warnings } = await compared(stateDir, later(snapshot, 1));
  expect(trends.snapshots).toBe(1);
  expect(warnings).toHaveLength(4);
  for (const warning of warnings) expect(warning).toContain(dirname(file!));
  expect(readdirSync(dirname(file!))).toContain("notes.txt");
});

test("since names the snapshot nearest to that age", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  for (const hours of [0, 10, 20, 30]) await compared(stateDir, later(snapshot, hours));
  const now = later(snapshot, 31);
  const seconds = async (since?: string) =>
    (await compared(stateDir, now, { store: false, ...(since ? { since } : {}) })).trends.seconds;
  expect(await seconds()).toBe(3600);
  expect(await seconds("12h")).toBe(11 * 3600);
  expect(await seconds("7d")).toBe(31 * 3600);
});

test("counters that began anew give no figures rather than wrong ones", async () => {
  const stateDir = folder();
  const snapshot = await aSnapshot();
  const [name, figures] = Object.entries(snapshot.counters.databases)[0]!;
  const [key] = Object.keys(snapshot.counters.statements!.entries);
  await compared(stateDir, snapshot);
  const seen = async (change: (counters: Counters) => void) =>
    (await compared(stateDir, later(snapshot, 1, change), { store: false })).trends;

  const usual = await seen((counters) => {
    counters.databases[name]!.commits += 7200;
    counters.wal_position! += 3600 * 1000;
    counters.statements!.entries[key!]![0]! += 2;
    counters.statements!.entries[key!]![1]! += 10;
  });
  expect(usual).toMatchObject({
    seconds: 3600,
    transactions_per_second: 2,
    wal_bytes_per_second: 1000,
    cache_hit_percent: null,
  });
  expect(usual.statements).toMatchObject([{ calls: 2, total_ms: 10, mean_ms: 5 }]);

  const reset = await seen((counters) => {
    counters.databases[name] = {
      ...figures,
      commits: figures.commits + 7200,
      stats_reset: "2030-01-01T00:00:00Z",
    };
    counters.statements!.stats_reset = "2030-01-01T00:00:00Z";
    counters.statements!.entries[key!]![0]! += 2;
    counters.wal_position! -= 1;
  });
  expect(reset).toMatchObject({
    transactions_per_second: null,
    wal_bytes_per_second: null,
    statements: [],
  });

  const crashed = await seen((counters) => {
    counters.databases[name] = { ...figures, commits: 0, rollbacks: 0 };
    counters.statements = null;
    counters.connections = null;
  });
  expect(crashed).toMatchObject({ transactions_per_second: null, statements: [] });

  const evicted = await seen((counters) => {
    counters.statements!.entries[key!] = [1, 0.001, 1];
    counters.statements!.entries['["d","u","99"]'] = [3, 30, 3];
  });
  expect(evicted.statements).toMatchObject([{ queryid: "99", calls: 3 }]);
});

test("the past is kept the more coarsely the longer it is ago, and never more of it than asked for", async () => {
  // A report every hour for four weeks, thinned after each.
  let times: number[] = [];
  for (let hour = 0; hour < 24 * 28; hour++) {
    times.push(hour * HOUR);
    const gone = new Set(surplus(times, 30));
    times = times.filter((_, at) => !gone.has(at));
    expect(times.length).toBeLessThanOrEqual(30);
  }
  const ages = times.map((time) => 24 * 28 - 1 - time / HOUR);
  expect(ages[0]).toBe(24 * 28 - 1);
  expect(ages.at(-1)).toBe(0);
  // There is one from about a day, a week and two weeks ago.
  for (const age of [24, 24 * 7, 24 * 14]) {
    expect(Math.min(...ages.map((each) => Math.abs(each - age)))).toBeLessThan(age / 4);
  }
  expect(ages.filter((age) => age <= 12).length).toBeGreaterThan(3);
  expect(surplus([1, 2], 1)).toEqual([]);

  const stateDir = folder();
  const snapshot = await aSnapshot();
  for (let hours = 0; hours < 8; hours++)
    await compared(stateDir, later(snapshot, hours), { keep: 3 });
  const { trends, file } = await compared(stateDir, later(snapshot, 9), { keep: 3 });
  expect(trends.snapshots).toBe(3);
  expect(readdirSync(dirname(file!))).toHaveLength(3);
});
