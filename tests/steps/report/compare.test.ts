import { afterAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Snapshot } from "../../../steps/report/lib/shape.ts";
import { surplus } from "../../../steps/snapshots.ts";
import { createDatabase, sharedServer } from "../../support/postgres.ts";
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
