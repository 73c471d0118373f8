import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openLibrary } from "../../../engine/load/library.ts";
import type { JsonObject, StepType } from "../../../engine/types.ts";
import show from "../../../steps/config/show.ts";
import check from "../../../steps/health/check.ts";
import suggest from "../../../steps/index/suggest.ts";
import snapshot from "../../../steps/query/snapshot.ts";
import analyze from "../../../steps/query/analyze.ts";
import { infoSql, ORDERS, topSql } from "../../../steps/query/statements/top-sql.ts";
import live from "../../../steps/query/live.ts";
import top from "../../../steps/query/top.ts";
import { clientOf, startServer, VERSIONS } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "./support.ts";

const library = openLibrary([{ name: "builtin", dir: join(import.meta.dir, "../../../runbooks") }]);
const benches: Bench[] = [];
afterAll(() => Promise.all(benches.map((one) => one.close())));

async function opened(...args: Parameters<typeof bench>): Promise<Bench> {
  const one = await bench(...args);
  benches.push(one);
  return one;
}

const named = (statements: JsonObject[], word: string) =>
  statements.find(({ query }) => String(query).includes(word));

describe.each([...VERSIONS])("PostgreSQL %d", (version) => {
  test("recorded statements with their figures, and the plan of one", async () => {
    const on = await opened(version);
    await on.sql("CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()");
    await on.sql(
      "CREATE TABLE facts AS SELECT i, 'fact ' || i AS said FROM generate_series(1, 30000) i",
    );
    for (const n of [1, 2, 3])
      await on.sql(`SELECT count(*) AS three_times FROM facts WHERE i > ${n}`);
    await on.sql("SET work_mem = '64kB'");
    await on.sql(
      "SELECT max(x) AS by_disk FROM (SELECT said || i AS x FROM facts ORDER BY said DESC OFFSET 1) s",
    );

    const { statements, stats_reset, dealloc, total_ms, hidden } = await runStep(top, {}, on.ctx);
    const counted = named(statements, "three_times");
    expect(counted).toMatchObject({
      query: "SELECT count(*) AS three_times FROM facts WHERE i > $1",
      database: on.database,
      calls: 3,
      rows: 3,
      temp_bytes: 0,
      io_ms: null,
    });
    expect(counted?.queryid).toMatch(/^-?\d+$/);
    expect(counted?.hit_percent).toBeGreaterThan(50);
    expect(Number(counted?.mean_ms)).toBeCloseTo(Number(counted?.total_ms) / 3, 2);
    expect(named(statements, "by_disk")?.temp_bytes).toBeGreaterThan(100_000);
    expect(named(statements, "CREATE TABLE facts")?.wal_bytes).toBeGreaterThan(1000);
    expect(hidden).toBe(0);
    expect(total_ms).toBeGreaterThan(Number(counted?.total_ms));
    if (version === 13) expect([stats_reset, dealloc]).toEqual([null, null]);
    else expect([stats_reset.slice(0, 2), dealloc]).toEqual(["20", 0]);

    const { generic, findings } = await runStep(
      analyze,
      { queryid: counted?.queryid ?? "" },
      on.ctx,
    );
    expect([generic, findings[0]?.code]).toEqual([true, "statistics_missing"]);
    await on.sql(
      "SELECT count(*) AS by_year FROM facts WHERE extract(year FROM now() + i * interval '1 day') > 2024",
    );
    const recorded = await runStep(top, { limit: 1000 }, on.ctx);
    const queryid = String(named(recorded.statements, "by_year")?.queryid);
    expect((await runStep(analyze, { queryid }, on.ctx)).generic).toBe(true);
    const { plan } = await runStep(
      analyze,
      { sql: "DELETE FROM facts WHERE i < 10", analyze: true },
      on.ctx,
    );
    expect([plan.title, plan.children[0].actual.rows]).toEqual(["Delete on facts", 9]);
    expect(await on.sql("SELECT count(*)::int AS n FROM facts")).toEqual([{ n: 30_000 }]);
  });
});

describe("query.top", () => {
  test("orders, bounds, and shares that add up", async () => {
    const on = await opened();
    await on.sql("CREATE EXTENSION pg_stat_statements");
    await on.sql("SELECT pg_sleep(0.15) AS slow_one");
    const ordered = async (order: string) =>
      (await runStep(top, { order }, on.ctx)).statements as JsonObject[];
    const keys = { total: "total_ms", mean: "mean_ms", io: "io_bytes", temp: "temp_bytes" };
    for (const [order, key] of Object.entries(keys)) {
      const values = (await ordered(order)).map((one) => Number(one[key]));
      expect(values).toEqual(values.toSorted((a, b) => b - a));
    }
    expect((await runStep(top, { limit: 1 }, on.ctx)).statements).toHaveLength(1);
    const slow = await runStep(top, { threshold: "100ms" }, on.ctx);
    expect(named(slow.statements, "slow_one")).toBeDefined();
    expect(slow.statements.every((one: JsonObject) => Number(one.mean_ms) >= 100)).toBe(true);
    const all = await runStep(top, { limit: 1000 }, on.ctx);
    const shares = all.statements.reduce(
      (sum: number, one: JsonObject) => sum + Number(one.share_percent),
      0,
    );
    // The time of pgdba's own statements counts, and they are not listed.
    expect(shares).toBeWithin(80, 102);
  });

  test("passwords of commands, which nothing normalises, are in no list", async () => {
    const on = await opened();
    await on.sql("CREATE EXTENSION pg_stat_statements");
    await on.sql("CREATE ROLE masked_role; ALTER ROLE masked_role PASSWORD E'geh\\x65im-1'");
    await on.sql("DO $$ BEGIN EXECUTE $q$ALTER ROLE masked_role PASSWORD 'geheim-2'$q$; END $$");
    await on.sql("DROP ROLE masked_role");
    const { statements } = await runStep(top, { limit: 1000 }, on.ctx);
    const shown = (statements as JsonObject[]).map(({ query }) => String(query));
    expect(shown).toContain("ALTER ROLE masked_role PASSWORD '***'");
    expect(shown.filter((query) => /geh|im-\d/.test(query))).toEqual([]);
  });

  test("a role without pg_monitor sees figures, and is told what it does not see", async () => {
    const on = await opened();
    await on.sql("CREATE EXTENSION pg_stat_statements; CREATE ROLE top_user LOGIN PASSWORD 'p'");
    await on.sql("SELECT 1 AS not_for_others");
    const bare = await opened(18, on.database, { user: "top_user", password: "p" });
    const { statements, hidden } = await runStep(top, { limit: 1000 }, bare.ctx);
    expect(hidden).toBeGreaterThan(0);
    expect(named(statements, "not_for_others")).toBeUndefined();
    expect(bare.ctx.recorded.warnings[0]).toContain('GRANT pg_monitor TO "top_user"');
  });

  test("without the extension: what is left to do", async () => {
    const on = await opened();
    const created = await runStep(top, {}, on.ctx).catch((error: unknown) => error);
    expect(created).toMatchObject({
      code: "capability_missing",
      data: { loaded: true, created: false },
    });
    expect(created.hint).toContain("CREATE EXTENSION");
    expect(created.hint).not.toContain("shared_preload_libraries");

    const server = await startServer();
    const alone = await bench(server, "postgres");
    const absent = await runStep(top, {}, alone.ctx).catch((error: unknown) => error);
    expect(absent).toMatchObject({
      code: "capability_missing",
      data: { loaded: false, created: false },
    });
    expect(absent.hint).toMatch(/shared_preload_libraries.*restart.*CREATE EXTENSION/s);
    await alone.close();
    await server.stop();
  });

  test("an extension older than its server has other columns", () => {
    expect(topSql(107, "total")).toContain("sum(total_time)");
    expect(topSql(108, "total")).toContain("sum(total_exec_time)");
    expect(topSql(111, "io")).toContain("shared_blk_read_time");
    expect(infoSql(108)).not.toContain("pg_stat_statements_info");
    expect(
      ORDERS.map((order) => topSql(112, order)).every((sql) => /\$1 .*LIMIT \$2$/s.test(sql)),
    ).toBe(true);
  });
});

describe("query.live", () => {
  test("what runs is seen, with what it waits for", async () => {
    const on = await opened();
    const client = await clientOf(on.server, on.database);
    const sleeping = client.query("SELECT pg_sleep(30), 'geheim' AS sleeper").catch(() => {});
    while (
      (
        await on.sql(
          "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%AS sleeper'",
        )
      ).length === 0
    );
    const { statements, looks, active_mean } = await runStep(
      live,
      { looks: 3, every: "1s" },
      on.ctx,
    );
    expect(looks).toBe(3);
    expect(active_mean).toBeGreaterThanOrEqual(1);
    expect(named(statements, "sleeper")).toMatchObject({
      query: "SELECT pg_sleep($1), $2 AS sleeper",
      samples: 3,
      sessions: 1,
      database: on.database,
      waits: { "Timeout/PgSleep": 3 },
    });
    const none = await runStep(live, { looks: 1, threshold: "10m" }, on.ctx);
    expect(none.statements).toEqual([]);
    await on.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%AS sleeper' AND pid <> pg_backend_pid()",
    );
    await sleeping;
    await client.end();
  });

  test("a role without pg_monitor is told", async () => {
    const on = await opened();
    await on.sql("CREATE ROLE live_user LOGIN PASSWORD 'p'");
    const bare = await opened(18, on.database, { user: "live_user", password: "p" });
    const { hidden, statements } = await runStep(live, { looks: 1 }, bare.ctx);
    expect(statements).toEqual([]);
    expect(bare.ctx.recorded.warnings[0]).toContain('GRANT pg_monitor TO "live_user"');
    // Other tests have sessions of their own; the server's processes (checkpointer, launchers, …) are none.
    const [{ sessions }] = await on.sql(
      "SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> 'live_user'",
    );
    expect(hidden).toBeGreaterThan(0);
    expect(hidden).toBeLessThanOrEqual(sessions);
  });
});

test("with pg_monitor but without USAGE on the extension's schema, that is what is said", async () => {
  const on = await opened();
  await on.sql(
    `CREATE SCHEMA "Stats"; CREATE EXTENSION pg_stat_statements SCHEMA "Stats"; CREATE ROLE "Watcher" LOGIN PASSWORD 'p'; GRANT pg_monitor TO "Watcher"`,
  );
  const watcher = await bench(18, on.database, { user: "Watcher", password: "p" });
  const failed = (step: StepType, input: JsonObject = {}) =>
    runStep(step, input, { ...watcher.again(), library }).then(
      () => null,
      (error: { code: string; hint: string }) => error,
    );
  const grant = 'GRANT USAGE ON SCHEMA "Stats" TO "Watcher";';
  for (const step of [top, snapshot, suggest])
    expect(await failed(step)).toMatchObject({
      code: "insufficient_privilege",
      hint: `As its owner: ${grant}`,
    });
  const { skipped } = await runStep(
    check,
    { only: ["statements-overflow"] },
    { ...watcher.again(), library },
  );
  expect(skipped).toMatchObject([
    {
      code: "privilege",
      hint: grant.replace(/^GRANT USAGE ON SCHEMA (.*) TO/, "grant usage on schema $1 to"),
    },
  ]);
  await on.sql(grant);
  expect(await failed(top)).toBeNull();
  await watcher.close();
  await on.sql('DROP OWNED BY "Watcher"; DROP ROLE "Watcher"');
});

test("what pgdba does itself is in no list", async () => {
  const on = await opened();
  await on.sql(
    "CREATE EXTENSION pg_stat_statements; CREATE TABLE mine (n int); SELECT pg_stat_statements_reset()",
  );
  await on.sql("SELECT n AS of_somebody FROM mine");
  const again = () => ({ ...on.again({ stateDir: "/tmp" }), library });
  await runStep(check, {}, again());
  await runStep(analyze, { sql: "SELECT * FROM mine WHERE n = $1" }, again());
  await runStep(suggest, {}, again());
  await runStep(show, {}, again());
  const { statements } = await runStep(top, { limit: 1000 }, again());
  const ours = (statements as JsonObject[]).filter(({ query }) =>
    /pgdba|pg_catalog|pg_settings/.test(String(query)),
  );
  expect(ours.map(({ query }) => query)).toEqual([]);
  expect(named(statements, "of_somebody")).toMatchObject({ calls: 1 });
  const { statements: running } = await runStep(live, { looks: 1 }, again());
  expect(running.filter(({ query }: JsonObject) => String(query).includes("pgdba"))).toEqual([]);
});
