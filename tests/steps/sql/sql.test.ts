import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import type { Json, JsonObject, StepContext, StepType, Target } from "../../../engine/types.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import execute from "../../../steps/sql/execute.ts";
import { identifiersOf, placeIdentifiers, placeLiterals } from "../../../steps/sql/input.ts";
import query from "../../../steps/sql/query.ts";
import { repeatable } from "../../../steps/sql/repeatable.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { type FakeContext, fakeContext } from "../../support/context.ts";
import {
  clientOf,
  createDatabase,
  sharedServer,
  startServer,
  type TestServer,
} from "../../support/postgres.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";
import { postgresOf, through } from "../../support/target.ts";

let server: TestServer;
let target: Target;
let ctx: FakeContext;
/** A context with the parts that SQL steps use. */
function contextFor(on: Target, signal = new AbortController().signal): FakeContext {
  return Object.assign(fakeContext({ run: { id: "r1" }, target: through(on) }), { signal });
}

/** Runs a step as the engine would: the input must fit its schema, and the output too. */
async function run(step: StepType, input: JsonObject, on: StepContext = ctx): Promise<any> {
  const ajv = new Ajv({ strict: false, validateFormats: false, useDefaults: true });
  if (!ajv.validate(step.input, input)) throw new Error(ajv.errorsText());
  const output = await step.run(on, input);
  if (!ajv.validate(step.output, output)) throw new Error(ajv.errorsText());
  return output;
}

beforeAll(async () => {
  server = await sharedServer();
  const { host, port, user, password } = server;
  const database = await createDatabase(server);
  const env = { PGPASSWORD: password, PGSSLMODE: "disable" };
  target = await resolveTarget({
    flags: { host, port, user, database },
    env,
    stateDir: "/nonexistent",
    onSecret: () => {},
  });
  ctx = contextFor(target);
});
afterAll(async () => {
  await target.close();
});

test("a server that is gone after the connection was lost is told to be gone, not to be asked again", async () => {
  const own = await startServer();
  const { host, port, user, password, database, dataDir } = own;
  const on = await resolveTarget({
    flags: { host, port, user, database },
    env: { PGPASSWORD: password, PGSSLMODE: "disable" },
    stateDir: "/nonexistent",
    onSecret: () => {},
  });
  try {
    const watcher = await clientOf(own);
    watcher.on("error", () => {});
    const acting = run(
      execute,
      { sql: "SELECT pg_sleep(30)", transaction: false, idempotent: true },
      contextFor(on),
    ).catch((thrown: unknown) => thrown as PgdbaError);
    const asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    while ((await watcher.query(asleep)).rowCount === 0) await Bun.sleep(20);
    // It goes down, as a standby does whose replay is resumed with fewer connections than its primary has.
    const [pid] = (await Bun.file(`${dataDir}/postmaster.pid`).text()).split("\n");
    process.kill(Number(pid), "SIGINT");
    const error = await acting;
    expect(error.message).toContain("The server does not answer any more");
    expect(error.hint).not.toContain("twice");
    expect(error).toMatchObject({ code: "connection_failed", data: { answers: false } });
  } finally {
    await on.close();
    await own.stop();
  }
}, 60_000);

test("a statement that may be done twice fails plainly when its connection is lost", async () => {
  const client = await clientOf(server);
  const cut = async (more: JsonObject): Promise<string | undefined> => {
    const code = codeOf(
      run(execute, { sql: "SELECT pg_sleep(30)", transaction: false, ...more }) as Promise<unknown>,
    );
    for (let ended = 0; ended === 0; await Bun.sleep(20)) {
      const { rowCount } = await client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()",
      );
      ended = rowCount ?? 0;
    }
    return code;
  };
  expect(await cut({})).toBe("needs_operator");
  expect(await cut({ idempotent: true })).toBe("connection_failed");
  await client.end();
}, 300_000);

test("a server that dies in the middle is reason enough to try such a statement again, and one that refuses is none", () => {
  const died = (sqlstate: string | null): unknown =>
    repeatable(new PgdbaError("connection_failed", "gone", { hint: "Look.", data: { sqlstate } }));
  for (const state of [null, "57P01"]) expect(died(state)).toMatchObject({ retryable: true });
  expect(died("28P01")).toMatchObject({ retryable: false });
});

describe("sql.query", () => {
  test("gives rows as objects, with their types", async () => {
    expect(
      await run(query, { sql: "SELECT $1::int AS n, now() > '2020-01-01' AS later", values: [41] }),
    ).toEqual({
      rows: [{ n: 41, later: true }],
      row_count: 1,
      fields: [
        { name: "n", type: "int4" },
        { name: "later", type: "bool" },
      ],
      truncated: false,
    });
  });

  test("changes nothing", async () => {
    expect(await codeOf(run(query, { sql: "CREATE TABLE sneaky (n int)" }))).toBe("step_refused");
    expect(await codeOf(run(query, { sql: "COMMIT; CREATE TABLE sneaky (n int)" }))).toBe(
      "step_refused",
    );
    expect((await run(query, { sql: "SELECT to_regclass('sneaky') AS t" })).rows).toEqual([
      { t: null },
    ]);
  });

  test("too few values are a fault of the query, not of the connection", async () => {
    const few = run(query, { sql: "select $1::int + $2::int as n", values: [1] });
    expect(await codeOf(few)).toBe("query_failed");
    const change = run(execute, { sql: "create table never as select $1::int", values: [] });
    expect(await codeOf(change)).toBe("query_failed");
  });

  test("one_row means one row", async () => {
    expect((await run(query, { sql: "SELECT 1 AS n", one_row: true })).rows).toEqual([{ n: 1 }]);
    expect(await codeOf(run(query, { sql: "SELECT 1 WHERE false", one_row: true }))).toBe(
      "step_failed",
    );
    expect(
      await codeOf(run(query, { sql: "SELECT generate_series(1, 2)", one_row: true, max_rows: 1 })),
    ).toBe("step_failed");
  });

  test("is bounded in rows and in time", async () => {
    const { rows, truncated } = await run(query, {
      sql: "SELECT generate_series(1, 100)",
      max_rows: 7,
    });
    expect([rows.length, truncated]).toEqual([7, true]);
    expect(await codeOf(run(query, { sql: "SELECT pg_sleep(10)", timeout: "50ms" }))).toBe(
      "timeout",
    );
    expect(await codeOf(run(query, { sql: "SELECT 1", timeout: "soon" }))).toBe("invalid_param");
  });

  test("another database, on a session that ends with the run", async () => {
    const other = await createDatabase(server);
    expect(
      (await run(query, { sql: "SELECT current_database() AS d", database: other })).rows,
    ).toEqual([{ d: other }]);
  });

  test("all steps of a run share one session, shown by the run's name, opened again when it died", async () => {
    const who = {
      sql: "SELECT pg_backend_pid() AS pid, current_setting('application_name') AS name",
    };
    const [a, b] = await Promise.all([run(query, who), run(query, who)]);
    expect(a.rows).toEqual(b.rows);
    expect(a.rows[0].name).toBe("pgdba/r1");
    const client = await clientOf(server);
    await client.query("SELECT pg_terminate_backend($1)", [a.rows[0].pid]);
    await client.end();
    // The end may reach us only with the first statement after it; the one after that has a session again.
    await run(query, who).catch(() => {});
    expect((await run(query, who)).rows[0].pid).not.toBe(a.rows[0].pid);
  });

  test("without a server there is a clear error", async () => {
    const none = await resolveTarget({
      flags: {},
      env: {},
      stateDir: "/nonexistent",
      onSecret: () => {},
    });
    expect(await codeOf(run(query, { sql: "SELECT 1" }, contextFor(none)))).toBe("no_target");
  });
});

describe("sql.execute", () => {
  test("changes, counts and returns", async () => {
    expect(
      await run(execute, { sql: "CREATE TABLE things (id int PRIMARY KEY, name text)" }),
    ).toEqual({ row_count: 0, rows: [], command: "CREATE TABLE" });
    const sql = "INSERT INTO things SELECT n, $1 FROM generate_series(1, 3) n RETURNING id";
    expect(await run(execute, { sql, values: ["x"] })).toEqual({
      row_count: 3,
      rows: [{ id: 1 }, { id: 2 }, { id: 3 }],
      command: "INSERT",
    });
    expect(await run(execute, { sql: "DELETE FROM things WHERE id > 1" })).toEqual({
      row_count: 2,
      rows: [],
      command: "DELETE",
    });
  });

  test("is one statement, whole or not at all", async () => {
    expect(await codeOf(run(execute, { sql: "DELETE FROM things; SELECT 1" }))).toBe(
      "query_failed",
    );
    expect(await codeOf(run(execute, { sql: "INSERT INTO things VALUES (8), (9), (1)" }))).toBe(
      "query_failed",
    );
    expect((await run(query, { sql: "SELECT id FROM things" })).rows).toEqual([{ id: 1 }]);
  });

  test("names go in quoted, whatever they hold", async () => {
    const name = `x"; DROP TABLE things; --`;
    await run(execute, { sql: `CREATE TABLE :"table" (n int)`, identifiers: { table: name } });
    await run(execute, {
      sql: `INSERT INTO :"schema".:"table" VALUES (1)`,
      identifiers: { schema: "public", table: name },
    });
    expect(
      (
        await run(query, {
          sql: "SELECT relname AS name FROM pg_class WHERE relname = $1",
          values: [name],
        })
      ).rows,
    ).toEqual([{ name }]);
    expect(
      (await run(query, { sql: "SELECT to_regclass('things') IS NOT NULL AS there" })).rows,
    ).toEqual([{ there: true }]);
  });

  test("what can't run in a transaction, without one", async () => {
    const sql = "CREATE INDEX CONCURRENTLY things_name ON things (name)";
    expect(await codeOf(run(execute, { sql }))).toBe("query_failed");
    expect(
      (await run(execute, { sql, transaction: false, timeout: "10s", lock_timeout: "1s" })).command,
    ).toBe("CREATE INDEX");
    expect((await run(query, { sql: "SHOW statement_timeout" })).rows).toEqual([
      { statement_timeout: "0" },
    ]);
  });

  test("a lock that is not given in time", async () => {
    const client = await clientOf(server, (await postgresOf(target)).spec.database);
    await client.query("BEGIN; LOCK TABLE things");
    expect(await codeOf(run(execute, { sql: "LOCK TABLE things", lock_timeout: "50ms" }))).toBe(
      "timeout",
    );
    await client.end();
  });

  test("a cancelled run changes nothing", async () => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("stop")), 100);
    const sql = "WITH w AS (SELECT pg_sleep(30)) INSERT INTO things SELECT 50, 'late' FROM w";
    expect(await codeOf(run(execute, { sql }, contextFor(target, abort.signal)))).toBe(
      "interrupted",
    );
    expect(
      (await run(query, { sql: "SELECT count(*) AS n FROM things WHERE id = 50" })).rows,
    ).toEqual([{ n: 0 }]);
  });

  test("a plan shows the statement and does nothing", async () => {
    const input = { sql: `DROP TABLE :"t"`, identifiers: { t: "things" } };
    expect(await execute.plan?.(ctx, input)).toEqual({ sql: `DROP TABLE "things"`, values: [] });
    expect(
      (await run(query, { sql: "SELECT to_regclass('things') IS NOT NULL AS there" })).rows,
    ).toEqual([{ there: true }]);
  });

  test("a probe tells resume whether it happened", async () => {
    const probe = (text?: string) =>
      execute.probe?.(ctx, { sql: "SELECT 1", ...(text === undefined ? {} : { probe: text }) });
    expect(await probe()).toMatchObject({ state: "unknown" });
    expect(await probe("SELECT EXISTS (SELECT FROM things WHERE id = 1)")).toMatchObject({
      state: "done",
    });
    expect(await probe("SELECT EXISTS (SELECT FROM things WHERE id = 99)")).toEqual({
      state: "not_done",
    });
    expect(await codeOf(probe("SELECT 1") as Promise<unknown>)).toBe("step_failed");
    expect(await codeOf(probe("DELETE FROM things RETURNING true") as Promise<unknown>)).toBe(
      "step_refused",
    );
  });

  test("it is idempotent when the author says so", () => {
    const idempotent = execute.idempotent as (input: unknown) => boolean;
    expect([idempotent({ sql: "x" }), idempotent({ sql: "x", idempotent: true })]).toEqual([
      false,
      true,
    ]);
  });
});

describe("identifiers", () => {
  test.each([
    ['SELECT :"a"', 'SELECT "v"'],
    [`SELECT ':"a"'`, `SELECT ':"a"'`],
    [`SELECT 'it''s :"a"', :"a"`, `SELECT 'it''s :"a"', "v"`],
    [`SELECT E'\\' :"a"', :"a"`, `SELECT E'\\' :"a"', "v"`],
    [`SELECT "x:""a"", :"`, `SELECT "x:""a"", :"`],
    [`SELECT $$:"a"$$, $f$:"a"$f$, :"a"`, `SELECT $$:"a"$$, $f$:"a"$f$, "v"`],
    [`SELECT $1, :"a", $2`, `SELECT $1, "v", $2`],
    [`-- :"a"\n/* :"a" */ SELECT :"a"`, `-- :"a"\n/* :"a" */ SELECT "v"`],
  ])("%s", (sql, expected) => {
    expect(placeIdentifiers(sql, { a: "v" })).toBe(expected);
  });

  test("a literal is quoted whatever it holds, and only outside of strings and comments", async () => {
    for (const text of [
      "plain",
      "it's",
      "back\\slash",
      "\\'; drop table things; --",
      ':"a"',
      "$1 $$ €",
    ]) {
      const sql = placeLiterals("SELECT :'a' AS a, 'x :''a' AS b /* :'a' */", { a: text });
      expect((await run(query, { sql })).rows).toEqual([{ a: text, b: "x :'a" }]);
    }
    expect(() => placeLiterals("SELECT :'toString'", {})).toThrow("does not have");
    expect(() => placeLiterals("SELECT :'a'", { a: "a\0b" })).toThrow("NUL");
  });

  test("a statement runs in another database, and says what it locks", async () => {
    const input = { sql: "COMMENT ON DATABASE postgres IS :'text'", literals: { text: "it's" } };
    await run(execute, { ...input, database: "postgres", locks: "none" });
    const told = await run(query, {
      sql: "SELECT shobj_description(oid, 'pg_database') AS said FROM pg_database WHERE datname = 'postgres'",
    });
    expect(told.rows).toEqual([{ said: "it's" }]);
    const locks = execute.locks as (input: unknown) => string;
    expect([locks(input), locks({ ...input, locks: "none" })]).toEqual(["all", "none"]);
    const where = { sql: "CREATE TABLE there (n int)", database: "postgres" };
    await run(execute, where);
    const there = { sql: "SELECT to_regclass('there') IS NOT NULL AS there" };
    expect((await run(query, there)).rows).toEqual([{ there: false }]);
    expect((await run(query, { ...there, database: "postgres" })).rows).toEqual([{ there: true }]);
    const probe = { ...where, probe: "SELECT to_regclass('there') IS NOT NULL" };
    expect(await execute.probe?.(ctx, probe)).toMatchObject({ state: "done" });
    await run(execute, { sql: "DROP TABLE there", database: "postgres" });
    // As an expression may give it: the run's own.
    await run(execute, { sql: "CREATE TEMP TABLE mine (n int)", database: null });
  });

  test.each([
    ["empty", ""],
    ["a NUL", "a\0b"],
    ["64 bytes", "x".repeat(64)],
    ["22 characters, 66 bytes", "€".repeat(22)],
  ])("%s is no name", (_name, value) => {
    expect(() => placeIdentifiers('SELECT :"a"', { a: value })).toThrow("is not a name");
  });

  test("a missing one, and one that only an ancestor has", () => {
    expect(() => placeIdentifiers('SELECT :"toString"', {})).toThrow("does not have");
    expect(identifiersOf(`SELECT :"a", :"b", ':"c"', :"a"`)).toEqual(["a", "b"]);
  });

  test("lint counts the values, and a server that gets too few says that the statement failed", async () => {
    const found = async (sql: string, values?: Json) =>
      (await query.lint!({ sql, ...(values === undefined ? {} : { values }) }))
        .filter(({ rule }) => rule === "values-mismatch")
        .map(({ path, message }) => `${path.join(".")}: ${message}`);
    expect(await found("select $1::int + $2::int", [1])).toEqual([
      "sql: the statement takes $1 to $2, and `values` has 1",
    ]);
    expect(await found("select $1::int")).toEqual([
      "sql: the statement takes $1 to $1, and `values` has 0",
    ]);
    expect(await found("select 1", [1])).toEqual([
      "values: the statement takes no values, and `values` has 1",
    ]);
    expect(await found("select '$2', \"$3\", $$ $4 $$, $1::int -- $5", [1])).toEqual([]);
    expect(await found("select $1", "${params.list}")).toEqual([]);
  });

  test("lint sees missing and unused ones", async () => {
    const found = await execute.lint?.({
      sql: 'DROP TABLE :"a"',
      probe: 'SELECT :"c"',
      identifiers: { b: "x", c: "y" },
    });
    expect(found?.map(({ rule }) => rule)).toEqual(["missing-identifier", "unused-identifier"]);
    const texts = await execute.lint?.({ sql: "ROLLBACK PREPARED :'a'", literals: { b: "x" } });
    expect(texts?.map(({ rule }) => rule)).toEqual(["missing-literal", "unused-literal"]);
  });
});
