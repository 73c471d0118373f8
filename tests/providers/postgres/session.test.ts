import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ConnectionSpec, openSession, type PgSession } from "./helpers.ts";
import {
  clientOf,
  createDatabase,
  sharedServer,
  startServer,
  type TestServer,
  VERSIONS,
} from "../../support/postgres.ts";
import type { PgdbaError } from "../../../engine/errors.ts";
import { codeOf, specOf } from "./helpers.ts";

let server: TestServer;
let spec: ConnectionSpec;
let session: PgSession;

beforeAll(async () => {
  server = await sharedServer();
  spec = { ...specOf(server), database: await createDatabase(server) };
  session = await openSession(spec);
});
afterAll(() => session.close());

const read = { readOnly: true };
const write = { readOnly: false };

describe("values", () => {
  const one = async (sql: string, values: unknown[] = []) =>
    (await session.query(sql, values)).rows[0];

  test("are JSON, and exact", async () => {
    expect(
      await one(`SELECT 9007199254740991::int8 AS safe, 9007199254740993::int8 AS big, 1.50::numeric AS short,
        0.1234567890123456789::numeric AS long, 100::numeric AS whole, 'NaN'::float8 AS nan, true AS yes, null AS nothing,
        '\\xdeadbeef'::bytea AS bytes, '{"a":[1,null]}'::jsonb AS doc, ARRAY[1,null,3]::int8[] AS ints,
        ARRAY[['a','b"c'],['d\\e','NULL']] AS texts, '[2:3]={7,8}'::int[] AS shifted, ARRAY[]::text[] AS none, 5::oid AS oid`),
    ).toEqual({
      safe: 9007199254740991,
      big: "9007199254740993",
      short: 1.5,
      long: "0.1234567890123456789",
      whole: 100,
      nan: "NaN",
      yes: true,
      nothing: null,
      bytes: "3q2+7w==",
      doc: { a: [1, null] },
      ints: [1, null, 3],
      texts: [
        ["a", 'b"c'],
        ["d\\e", "NULL"],
      ],
      shifted: [7, 8],
      none: [],
      oid: 5,
    });
  });

  test("times are ISO 8601, whatever the server's time zone and style", async () => {
    const client = await clientOf(server);
    await client.query(`ALTER DATABASE ${spec.database} SET timezone = 'Asia/Kolkata'`);
    await client.query(`ALTER DATABASE ${spec.database} SET datestyle = 'German'`);
    await client.end();
    const other = await openSession(spec);
    const { rows } = await other.query(`SELECT '2026-01-02 03:04:05.123456+00'::timestamptz AS tz,
      '2026-01-02 03:04:05'::timestamp AS plain, '2026-01-02'::date AS day, 'infinity'::timestamptz AS never, '90 min'::interval AS span`);
    await other.close();
    expect(rows[0]).toEqual({
      tz: "2026-01-02T03:04:05.123456Z",
      plain: "2026-01-02T03:04:05",
      day: "2026-01-02",
      never: "infinity",
      span: "01:30:00",
    });
  });

  test("go in as binds: lists as arrays, mappings as JSON", async () => {
    const hostile = `'; DROP TABLE x; --"\\`;
    expect(
      await one(
        "SELECT $1::text AS t, $2::text[] AS l, $3::jsonb AS j, $4::int AS n, $5::bool AS b",
        [hostile, [hostile, null], { k: hostile }, 7, false],
      ),
    ).toEqual({ t: hostile, l: [hostile, null], j: { k: hostile }, n: 7, b: false });
  });

  test("columns of one name lose nothing, and names can't touch prototypes", async () => {
    const row = await one(`SELECT 1 AS id, 2 AS id, 3 AS "__proto__"`);
    expect(Object.entries(row ?? {})).toEqual([
      ["id", 1],
      ["id_2", 2],
      ["__proto__", 3],
    ]);
    expect((await session.query("SELECT 1::int2 AS a, 'x'::text AS b")).fields).toEqual([
      { name: "a", type: "int2" },
      { name: "b", type: "text" },
    ]);
  });
});

describe("bounds", () => {
  test("keep at most so many rows, and say so", async () => {
    const sql = "SELECT n FROM generate_series(1, 100000) n";
    const cut = await session.query(sql, [], { maxRows: 2500 });
    expect([cut.rows.length, cut.row_count, cut.truncated]).toEqual([2500, 2500, true]);
    const exact = await session.query("SELECT n FROM generate_series(1, 2500) n", [], {
      maxRows: 2500,
    });
    expect([exact.rows.length, exact.row_count, exact.truncated]).toEqual([2500, 2500, false]);
  });

  test("keep at most so many bytes", async () => {
    const cut = await session.query(
      "SELECT repeat('x', 100000) AS x FROM generate_series(1, 1000)",
      [],
      { maxBytes: 1_000_000 },
    );
    expect(cut.truncated).toBe(true);
    expect(cut.rows.length).toBe(9);
  });

  test("let a change run to its end when asked to", async () => {
    await session.query("CREATE TABLE many (n int)");
    const result = await session.transaction(write, (run) =>
      run("INSERT INTO many SELECT generate_series(1, 5000) RETURNING n", [], {
        maxRows: 10,
        drain: true,
      }),
    );
    expect([result.rows.length, result.row_count, result.truncated, result.command]).toEqual([
      10,
      5000,
      true,
      "INSERT",
    ]);
    expect((await session.query("SELECT count(*) AS n FROM many")).rows).toEqual([{ n: 5000 }]);
    const drained = await session.query("SELECT n FROM many", [], { maxRows: 1, drain: true });
    expect([drained.rows.length, drained.row_count]).toEqual([1, 5000]);
  });
});

describe("one statement at a time", () => {
  test("several in one text are refused by the server", async () => {
    await session.query("CREATE TABLE precious (n int)");
    expect(
      await codeOf(session.transaction(read, (run) => run("COMMIT; DROP TABLE precious"))),
    ).toBe("query_failed");
    expect(
      (await session.query("SELECT to_regclass('precious') IS NOT NULL AS there")).rows,
    ).toEqual([{ there: true }]);
  });

  test("a read-only transaction keeps tables as they are, and a statement can't leave it", async () => {
    await session.query("CREATE TABLE kept (n int)");
    expect(
      await codeOf(session.transaction(read, (run) => run("INSERT INTO kept VALUES (1)"))),
    ).toBe("query_failed");
    const attempt = session.transaction(read, async (run) => {
      await run("COMMIT");
      return run("INSERT INTO kept VALUES (2)");
    });
    expect(await codeOf(attempt)).toBe("step_refused");
    expect((await session.query("SELECT count(*) AS n FROM kept")).rows).toEqual([{ n: 0 }]);
  });

  test("a transaction left open is rolled back and refused", async () => {
    expect(await codeOf(session.query("BEGIN"))).toBe("step_refused");
    expect(await codeOf(session.query(""))).toBe("query_failed");
    expect(await codeOf(session.query("COPY (SELECT 1) TO STDOUT"))).toBe("unsupported");
    expect(await codeOf(session.query("COPY precious FROM STDIN"))).toBe("unsupported");
    expect((await session.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });

  test("transactions of parallel steps do not meet", async () => {
    await session.query("CREATE TABLE steps (who int, n int)");
    const work = async (who: number) =>
      session.transaction(write, async (run) => {
        for (let n = 0; n < 5; n++) await run("INSERT INTO steps VALUES ($1, $2)", [who, n]);
        if (who % 2 === 0) throw new Error("undone");
      });
    await Promise.allSettled([1, 2, 3, 4].map(work));
    expect(
      (await session.query("SELECT who, count(*) AS n FROM steps GROUP BY who ORDER BY who")).rows,
    ).toEqual([
      { who: 1, n: 5 },
      { who: 3, n: 5 },
    ]);
  });
});

describe("ends", () => {
  test("a statement past its timeout, and the next has none", async () => {
    expect(await codeOf(session.query("SELECT pg_sleep(10)", [], { timeoutMs: 50 }))).toBe(
      "timeout",
    );
    expect((await session.query("SHOW statement_timeout")).rows).toEqual([
      { statement_timeout: "0" },
    ]);
    expect(
      await codeOf(
        session.transaction({ ...read, timeoutMs: 50 }, (run) => run("SELECT pg_sleep(10)")),
      ),
    ).toBe("timeout");
    expect((await session.query("SHOW statement_timeout")).rows).toEqual([
      { statement_timeout: "0" },
    ]);
  });

  test("a server that stands still: it did not answer in time", async () => {
    const stopped = await openSession(spec);
    process.kill(stopped.info.pid, "SIGSTOP");
    try {
      const answer = await stopped
        .query("SELECT 1", [], { timeoutMs: 50 })
        .catch((error: unknown) => error);
      expect(answer).toMatchObject({
        code: "timeout",
        message: expect.stringContaining("did not answer"),
      });
      expect(stopped.alive()).toBe(false);
    } finally {
      process.kill(stopped.info.pid, "SIGCONT");
    }
  }, 300_000);

  test("a wait for a lock", async () => {
    const other = await openSession(spec);
    await session.query("CREATE TABLE fought (n int)");
    await other.transaction(write, async (run) => {
      await run("LOCK TABLE fought");
      expect(
        await codeOf(
          session.transaction({ ...write, lockTimeoutMs: 50 }, (inner) =>
            inner("LOCK TABLE fought"),
          ),
        ),
      ).toBe("timeout");
    });
    await other.close();
  });

  test("a statement whose run is aborted, on the server too, and the session lives on", async () => {
    const abort = new AbortController();
    const begun = performance.now();
    setTimeout(() => abort.abort(new Error("stop")), 100);
    expect(await codeOf(session.query("SELECT pg_sleep(30)", [], { signal: abort.signal }))).toBe(
      "interrupted",
    );
    expect(performance.now() - begun).toBeLessThan(20_000);
    const { rows } = await session.query(
      "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%' AND state = 'active'",
    );
    expect(rows).toEqual([{ n: 0 }]);
  });

  test("a session that the server ended is known to be dead", async () => {
    const victim = await openSession(spec);
    const hanging = codeOf(victim.query("SELECT pg_sleep(30)", [], { changes: true }));
    await Bun.sleep(50);
    await session.query("SELECT pg_terminate_backend($1)", [victim.info.pid]);
    expect(await hanging).toBe("needs_operator");
    expect(victim.alive()).toBe(false);
    expect(await codeOf(victim.query("SELECT 1"))).toBe("connection_failed");
  });

  test("what waited for its turn in a session that ended was not sent, and can be run again", async () => {
    const victim = await openSession(spec);
    const ending = codeOf(victim.query("SELECT pg_terminate_backend(pg_backend_pid())"));
    const waiting = [
      victim.query("SELECT 1", [], { changes: true }),
      victim.transaction(write, (run) => run("SELECT 1")),
    ].map((one) => one.catch((error: PgdbaError) => error));
    expect(await ending).toBe("connection_failed");
    for (const error of await Promise.all(waiting))
      expect(error).toMatchObject({
        code: "connection_failed",
        retryable: true,
        nothingDone: true,
      });
  });
});

test("a commit that no standby confirmed is not called done", async () => {
  const lonely = await startServer({
    settings: { synchronous_standby_names: "nobody", synchronous_commit: "local" },
  });
  try {
    const pg = await openSession(specOf(lonely));
    await pg.query("CREATE TABLE t (n int)");
    await pg.query("SET synchronous_commit = on");
    const abort = new AbortController();
    const attempt = codeOf(
      pg.transaction({ readOnly: false, signal: abort.signal }, (run) =>
        run("INSERT INTO t VALUES (1)"),
      ),
    );
    const watcher = await openSession(specOf(lonely));
    const waits = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while ((await watcher.query(waits)).row_count === 0) await Bun.sleep(10);
    await watcher.close();
    abort.abort(new Error("stop"));
    expect(await attempt).toBe("needs_operator");
    expect((await pg.query("SELECT n FROM t")).rows).toEqual([{ n: 1 }]);
    await pg.close();
  } finally {
    await lonely.stop();
  }
}, 300_000);

test("every supported version describes itself", async () => {
  for (const version of VERSIONS) {
    const pg = await openSession(specOf(await sharedServer(version)));
    const { rows } = await pg.query("SELECT $1::int + 1 AS n", [version]);
    expect([Math.floor(pg.info.version_num / 10_000), pg.info.superuser, rows[0]?.n]).toEqual([
      version,
      true,
      version + 1,
    ]);
    await pg.close();
  }
}, 300_000);
