import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openLibrary } from "../../../engine/load/library.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import check from "../../../steps/health/check.ts";
import create from "../../../steps/index/create.ts";
import analyze from "../../../steps/query/analyze.ts";
import live from "../../../steps/query/live.ts";
import top from "../../../steps/query/top.ts";
import execute from "../../../steps/sql/execute.ts";
import query from "../../../steps/sql/query.ts";
import type { JsonObject, StepType, TargetLock } from "../../../engine/types.ts";
import { type Bench, bench, runStep } from "../../steps/query/support.ts";
import { pgbouncerMissing, startPgbouncer } from "../../support/pgbouncer.ts";
import { createDatabase, sharedServer, type TestServer } from "../../support/postgres.ts";
import { codeOf } from "./helpers.ts";
import { postgresOf } from "../../support/target.ts";

const missing = pgbouncerMissing();
const suite = missing === null ? describe : describe.skip;

const library = openLibrary([{ name: "builtin", dir: join(import.meta.dir, "../../../runbooks") }]);

/** All that a session may keep for whoever has it next. */
const KEPT = `SELECT json_build_object(
  'settings', (SELECT json_object_agg(name, setting ORDER BY name) FROM pg_settings WHERE source = 'session'
    AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')),
  'prepared', (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),
  'locks', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
  'role', current_user = session_user,
  'temporary', (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
  'channels', (SELECT count(*) FROM pg_listening_channels()), 'cursors', (SELECT count(*) FROM pg_cursors WHERE name <> '')) AS kept`;

suite(`behind a pooler${missing === null ? "" : ` (${missing})`}`, () => {
  let server: TestServer;
  let pooler: TestServer;
  let on: Bench;
  const kept = async () => (await on.sql(KEPT))[0].kept;

  beforeAll(async () => {
    server = await sharedServer();
    const database = await createDatabase(server);
    // One connection, so that everybody gets the same session.
    pooler = await startPgbouncer(server, 1);
    on = await bench(pooler, database);
    await on.sql(
      "CREATE EXTENSION pg_stat_statements; CREATE TABLE t (a int, b text); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i",
    );
  });
  afterAll(async () => {
    await on?.close();
    await pooler?.stop();
  });

  const steps: [string, StepType, JsonObject][] = [
    ["sql.query", query, { sql: "SELECT now(), interval '1 day', '\\x00'::bytea", timeout: "5s" }],
    ["sql.execute", execute, { sql: "UPDATE t SET b = b", timeout: "5s", lock_timeout: "1s" }],
    [
      "sql.execute without a transaction",
      execute,
      { sql: "VACUUM t", transaction: false, timeout: "5s", lock_timeout: "1s" },
    ],
    ["check", check, { groups: ["configuration", "locks"] }],
    ["query.analyze", analyze, { sql: "SELECT * FROM t WHERE a = 1" }],
    ["query.analyze of any values", analyze, { sql: "SELECT * FROM t WHERE a = $1" }],
    ["query.analyze with execution", analyze, { sql: "UPDATE t SET b = 'x'", analyze: true }],
    ["query.live", live, { looks: 1 }],
    ["query.top", top, {}],
    [
      "index.create",
      create,
      { definition: "CREATE INDEX t_a ON t (a)", query: "SELECT * FROM t WHERE a = $1" },
    ],
  ];
  test.each(steps)("%s leaves nothing in the session", async (_name, step, input) => {
    const before = await kept();
    await runStep(step, input, { ...on.again(), library });
    expect(await kept()).toEqual(before);
  });

  test("what fails leaves nothing either", async () => {
    const before = await kept();
    const failing: [StepType, JsonObject][] = [
      [query, { sql: "SELECT 1 / 0" }],
      [query, { sql: "SELECT pg_sleep(10)", timeout: "50ms" }],
      [execute, { sql: "VACUUM nothing", transaction: false, timeout: "5s" }],
      [analyze, { sql: "SELECT * FROM t WHERE a = $1 AND 1 / 0 = 1" }],
      [analyze, { sql: "SELECT count(*) FROM nothing WHERE a = $1" }],
    ];
    for (const [step, input] of failing)
      expect(await codeOf(runStep(step, input, on.again()))).toMatch(/query_failed|timeout/);
    expect(await kept()).toEqual(before);
  });

  test("values are read as ever, whatever the database is set to", async () => {
    await on.sql(
      `ALTER DATABASE ${on.database} SET datestyle = German; ALTER DATABASE ${on.database} SET bytea_output = escape`,
    );
    const other = await startPgbouncer(server, 1);
    const there = await bench(other, on.database);
    const { rows } = await runStep(
      query,
      { sql: "SELECT '2026-01-02 03:04:05+00'::timestamptz AS t, '\\xdead'::bytea AS b" },
      there.ctx,
    );
    expect(rows).toEqual([{ t: "2026-01-02T03:04:05Z", b: "3q0=" }]);
    await there.close();
    await other.stop();
  });

  test("the run's lock is held by one session to its end, and nobody keeps it", async () => {
    const wide = await startPgbouncer(server, 3);
    const targets = await Promise.all(
      [wide, wide, server].map(({ host, port, user, password }) =>
        resolveTarget({
          flags: { host, port, user, database: on.database },
          env: { PGPASSWORD: password, PGSSLMODE: "disable" },
          stateDir: "/nonexistent",
          onSecret: () => {},
        }),
      ),
    );
    const [one, two, direct] = targets;
    const lock = (await one?.lock?.("run-one")) as TargetLock;
    expect(await lock.held()).toBe("held");
    expect(await two?.lock?.("run-two")).toEqual({ heldBy: "run-one", word: "all" });
    expect(await direct?.lock?.("run-three")).toEqual({ heldBy: "run-one", word: "all" });
    const session = await (await postgresOf(one!)).session();
    expect(session.info.pooled).toBe(true);
    expect((await session.query("SELECT 1 AS n")).rows).toEqual([{ n: 1 }]);
    // Whoever rebuilds an index would wait for what the holder sees, and vacuum would remove nothing that is newer.
    const holder = "SELECT backend_xmin FROM pg_stat_activity WHERE state = 'idle in transaction'";
    expect((await session.query(holder)).rows).toEqual([{ backend_xmin: null }]);
    await lock.release();
    expect(await lock.held()).toMatchObject({ heldBy: expect.any(String) });
    const next = (await direct?.lock?.("run-three")) as TargetLock;
    expect(await next.held()).toBe("held");
    expect(await two?.lock?.("run-two")).toEqual({ heldBy: "run-three", word: "all" });
    await next.release();
    for (const target of targets) await target.close();
    await wide.stop();
  });
});
