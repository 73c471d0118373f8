import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../../engine/types.ts";
import query from "../../../steps/sql/query.ts";
import snapshot from "../../../steps/query/snapshot.ts";
import { startServer } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "./support.ts";

const benches: Bench[] = [];
const made = mkdtempSync(join(tmpdir(), "pgdba-snapshot-"));
afterAll(async () => {
  await Promise.all(benches.map((one) => one.close()));
  rmSync(made, { recursive: true, force: true });
});

async function opened(...args: Parameters<typeof bench>) {
  const on = await bench(...args);
  benches.push(on);
  const stateDir = mkdtempSync(join(made, "state-"));
  const take = async (input: JsonObject = {}, run: JsonObject = {}) => {
    const ctx = on.again({ stateDir, ...run });
    const output = await runStep(snapshot, input, ctx);
    return { ...output, warnings: ctx.recorded.warnings };
  };
  return { on, stateDir, take };
}

const named = (taken: { changes: { statements: JsonObject[] } }, word: string) =>
  taken.changes.statements.find(({ query }) => String(query).includes(word));

describe.each([13, 14, 17, 18] as const)("PostgreSQL %d", (version) => {
  test("what happened since, in figures that are no one's text", async () => {
    const { on, stateDir, take } = await opened(version);
    await on.sql(
      "CREATE EXTENSION pg_stat_statements; CREATE TABLE facts AS SELECT i FROM generate_series(1, 20000) i",
    );
    for (const n of [1, 2, 3]) await on.sql(`SELECT i AS again FROM facts WHERE i <= ${n}`);
    await on.sql("SELECT count(*) AS only_before FROM facts");
    const { file, changes } = await take();
    expect(changes).toBeNull();
    const [{ identity }] = await on.sql(
      "SELECT system_identifier::text AS identity FROM pg_control_system()",
    );
    expect(file).toStartWith(join(stateDir, "snapshots", identity, "statements-"));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const kept = readFileSync(file, "utf8");
    expect(kept).not.toMatch(/again|facts|select/i);

    for (const n of [5, 7]) await on.sql(`SELECT i AS again FROM facts WHERE i <= ${n}`);
    await on.sql("SELECT sum(i) AS only_since FROM facts");
    const since = await take({ since: "last", limit: 1000 });
    expect(named(since, "AS again")).toMatchObject({
      query: "SELECT i AS again FROM facts WHERE i <= $1",
      database: on.database,
      calls: 2,
      rows: 12,
      basis: "difference",
      hit_percent: 100,
      io_ms: null,
    });
    expect(named(since, "only_since")).toMatchObject({ calls: 1, rows: 1, basis: "new" });
    expect(named(since, "only_before")).toBeUndefined();
    const { statements, total_ms, seconds, from, to, reset, evicted } = since.changes;
    expect([reset, evicted, since.warnings]).toEqual([false, 0, []]);
    expect(Date.parse(to) - Date.parse(from)).toBe(Math.round(seconds * 1000));
    expect(to).toBe(since.taken_at);
    const sum = (key: string) =>
      statements.reduce((all: number, one: JsonObject) => all + Number(one[key]), 0);
    expect(sum("total_ms")).toBeCloseTo(total_ms, 1);
    expect(Math.abs(sum("share_percent") - 100)).toBeLessThan(1);
    for (const { mean_ms, calls, total_ms: own } of statements)
      expect(mean_ms).toBeCloseTo(own / calls, 2);
    // And the second snapshot is the one to compare with now.
    expect((await take({ since: "last" })).changes.from).toBe(to);
  });

  test("statistics that were reset in between", async () => {
    const { on, take } = await opened(version);
    await on.sql("CREATE EXTENSION pg_stat_statements");
    for (const n of [1, 2, 3]) await on.sql(`SELECT ${n} AS set_back`);
    const set = () =>
      on.sql(
        "SELECT userid, dbid, queryid::text FROM pg_stat_statements WHERE query LIKE '%set_back'",
      );
    const [entry] = await set();
    await take();
    await on.sql(
      `SELECT pg_stat_statements_reset(${entry.userid}, ${entry.dbid}, ${entry.queryid})`,
    );
    for (const n of [4, 5]) await on.sql(`SELECT ${n} AS set_back`);
    const one = await take({ since: "last", limit: 1000 });
    expect(one.changes.reset).toBe(false);
    expect(named(one, "set_back")).toMatchObject({ calls: 2, basis: "reset" });

    await on.sql("SELECT 5 AS set_back; SELECT pg_stat_statements_reset()");
    await on.sql("SELECT 6 AS set_back");
    const all = await take({ since: "last", limit: 1000 });
    expect(named(all, "set_back")).toMatchObject({ calls: 1, basis: "reset" });
    expect(all.changes.reset).toBe(version !== 13);
    if (version === 13) return;
    expect(all.warnings[0]).toContain("reset");
    expect(Date.parse(all.changes.from)).toBeGreaterThan(Date.parse(one.taken_at));
  });
});

test("order, threshold and limit are those of the interval", async () => {
  const { on, take } = await opened();
  await on.sql("CREATE EXTENSION pg_stat_statements");
  await on.sql("SELECT pg_sleep(0.3) AS long_ago");
  await take();
  await on.sql("SELECT pg_sleep(0.06), 1 AS slowly");
  for (let n = 0; n < 5; n++) await on.sql("SELECT pg_sleep(0.03), 1, 2 AS often");
  await on.sql("SET work_mem = '64kB'");
  await on.sql(
    "SELECT max(i) AS on_disk FROM (SELECT i FROM generate_series(1, 4000) i ORDER BY md5(i::text) OFFSET 1) s",
  );
  const first = async (order: string) =>
    String((await take({ since: "10m", order, limit: 1 })).changes.statements[0].query);
  expect(await first("total")).toContain("often");
  expect(await first("mean")).toContain("slowly");
  expect(await first("temp")).toContain("on_disk");
  expect(await first("io")).toContain("on_disk");
  const slow = await take({ since: "10m", threshold: "50ms" });
  expect(slow.changes.statements.map(({ query }: JsonObject) => query)).toEqual([
    "SELECT pg_sleep($1), $2 AS slowly",
  ]);
  expect(slow.warnings.join()).toContain("the oldest");
});

test("statements that were evicted are counted and said", async () => {
  const server = await startServer({
    settings: { shared_preload_libraries: "pg_stat_statements", "pg_stat_statements.max": 100 },
  });
  const { on, take } = await opened(server);
  await on.sql("CREATE EXTENSION pg_stat_statements");
  // Names of columns do not make another statement of it, their number does.
  const columns = (n: number) => `SELECT 1${", 1".repeat(n)}`;
  for (let n = 1; n <= 20; n++) await on.sql(columns(n));
  await take();
  for (let n = 100; n < 250; n++) for (const _ of [1, 2]) await on.sql(columns(n));
  await on.sql("SELECT current_user AS the_last");
  const { changes, warnings } = await take({ since: "last", limit: 1000 });
  expect(changes.dealloc).toBeGreaterThan(0);
  expect(changes.evicted).toBeGreaterThan(0);
  expect(warnings[0]).toContain("pg_stat_statements.max");
  expect(named({ changes }, "the_last")).toMatchObject({ calls: 1, basis: "new" });
  await server.stop();
});

test("a role without pg_monitor compares what it sees", async () => {
  const { on } = await opened();
  await on.sql("CREATE EXTENSION pg_stat_statements; CREATE ROLE snap_user LOGIN PASSWORD 'p'");
  const { on: bare, take } = await opened(18, on.database, { user: "snap_user", password: "p" });
  await take();
  await on.sql("SELECT 1 AS not_for_others");
  await runStep(query, { sql: "SELECT 2 AS of_this_role" }, bare.ctx);
  const before = await take({ since: "last", limit: 1000 });
  expect(before.changes.hidden).toBeGreaterThan(0);
  expect(named(before, "not_for_others")).toBeUndefined();
  expect(named(before, "of_this_role")).toMatchObject({ calls: 1 });
  expect(before.warnings.join()).toContain("GRANT pg_monitor");
  await bare.close();
  benches.splice(benches.indexOf(bare), 1);
  await on.sql("DROP ROLE snap_user");
});

test("nothing earlier, nonsense, and a folder that can't be written", async () => {
  const { on, stateDir, take } = await opened();
  await on.sql("CREATE EXTENSION pg_stat_statements");
  const failed = (input: JsonObject, run: JsonObject = {}) =>
    take(input, run).then(
      () => null,
      (error: { code: string; hint: string }) => error,
    );
  expect(await failed({ since: "last" }, { plan: true })).toMatchObject({ code: "invalid_param" });
  expect(readdirSync(stateDir)).toEqual([]);
  expect((await failed({ since: "last" }))?.hint).toContain("kept the first one");
  await on.sql("SELECT 3 AS meanwhile");
  expect(named(await take({ since: "1h" }), "meanwhile")).toMatchObject({ calls: 1 });
  for (const since of ["'; DROP TABLE facts; --", "../../x", "9999-01-01"])
    expect(await failed({ since })).toMatchObject({ code: "invalid_param" });

  const file = join(made, "no-folder");
  writeFileSync(file, "");
  const answer = await take({}, { stateDir: file });
  expect(answer.file).toBeNull();
  expect(answer.warnings[0]).toContain("ENOTDIR");
});

test("a queryid or name from a doctored snapshot reaches no statement", async () => {
  const { on, take } = await opened();
  await on.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE keep_me (i int)");
  const { file } = await take();
  const doctored = JSON.parse(readFileSync(file, "utf8"));
  doctored.entries["1/10/1); DROP TABLE keep_me; --"] = [1, 1, 1, 1, 1, 1, 1, 1, 1];
  doctored.entries["__proto__"] = [9, 9, 9, 9, 9, 9, 9, 9, 9];
  writeFileSync(file, JSON.stringify(doctored));
  await on.sql("SELECT 1 AS after_all");
  const { changes } = await take({ since: "last", limit: 1000 });
  expect(changes.evicted).toBe(1);
  expect(named({ changes }, "after_all")).toMatchObject({ calls: 1 });
  expect(await on.sql("SELECT count(*)::int AS n FROM keep_me")).toEqual([{ n: 0 }]);
});
