import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import type { JsonObject } from "../../../engine/types.ts";
import create from "../../../steps/index/create.ts";
import analyze from "../../../steps/query/analyze.ts";
import { cloneInto } from "../../support/standby.ts";
import { startServer, type TestServer, type Version } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "./support.ts";

/** Runs of each attack at most, while two sessions swap as fast as they can, and how long they may take, ms. */
const TRIES = 15;
const TIME = 2000;

/** Does nothing, until it runs as a superuser: then it takes a lock that nothing gives back. */
const EVIL = `BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN PERFORM pg_catalog.pg_advisory_lock(666); END IF;
  RETURN 1; END`;
const evil = (name: string, args = "", returns = "int", volatility = "IMMUTABLE") =>
  `CREATE OR REPLACE FUNCTION ${name}(${args}) RETURNS ${returns} ${volatility} LANGUAGE plpgsql AS $$${EVIL.replace("RETURN 1", returns === "int" ? "RETURN 1" : returns === "boolean" ? "RETURN true" : "RETURN NULL")}$$`;
const good = (name: string, args = "", returns = "int", value = "1") =>
  `CREATE OR REPLACE FUNCTION ${name}(${args}) RETURNS ${returns} IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN ${value}; END'`;

interface Attack {
  setup: string;
  /** One after the other, again and again, by who owns all of it. */
  swap: string[];
  sql: string;
  analyze?: boolean;
}

const ATTACKS: Record<string, Attack> = {
  "a body replaced": {
    setup: good("app.f"),
    swap: [evil("app.f"), good("app.f")],
    sql: "SELECT * FROM app.items WHERE id = app.f()",
  },
  "a body replaced before it is executed": {
    setup: `${good("app.g", "n int", "int", "n").replace("IMMUTABLE", "STABLE")}`,
    swap: [
      evil("app.g", "n int", "int", "STABLE"),
      good("app.g", "n int", "int", "n").replace("IMMUTABLE", "STABLE"),
    ],
    sql: "SELECT app.g(id) FROM app.items",
    analyze: true,
  },
  "a body replaced that another one calls": {
    setup: `${good("app.inner")}; CREATE FUNCTION app.outer() RETURNS int STABLE LANGUAGE sql AS 'SELECT app.inner()'`,
    swap: [evil("app.inner"), good("app.inner")],
    sql: "SELECT * FROM app.items WHERE id = app.outer()",
  },
  "volatility changed": {
    setup: evil("app.v", "", "int", "VOLATILE"),
    swap: ["ALTER FUNCTION app.v() IMMUTABLE", "ALTER FUNCTION app.v() VOLATILE"],
    sql: "SELECT app.v() FROM app.items",
  },
  "dropped and made again": {
    setup: good("app.d"),
    swap: ["DROP FUNCTION app.d()", evil("app.d"), "DROP FUNCTION app.d()", good("app.d")],
    sql: "SELECT * FROM app.items WHERE id = app.d()",
  },
  renamed: {
    setup: `${good("app.r")}; ${evil("app.r_evil")}`,
    swap: [
      "BEGIN; ALTER FUNCTION app.r() RENAME TO r_good; ALTER FUNCTION app.r_evil() RENAME TO r; COMMIT",
      "BEGIN; ALTER FUNCTION app.r() RENAME TO r_evil; ALTER FUNCTION app.r_good() RENAME TO r; COMMIT",
    ],
    sql: "SELECT * FROM app.items WHERE id = app.r()",
  },
  "a better match for a function of the server's": {
    setup: "",
    swap: [evil("public.length", "varchar"), "DROP FUNCTION public.length(varchar)"],
    sql: "SELECT * FROM app.items WHERE id = length('a'::varchar)",
  },
  "a better match for an operator of the server's": {
    setup: evil("app.sum", "a int2, b numeric"),
    swap: [
      "CREATE OPERATOR public.+ (LEFTARG = int2, RIGHTARG = numeric, FUNCTION = app.sum)",
      "DROP OPERATOR public.+ (int2, numeric)",
    ],
    sql: "SELECT * FROM app.items WHERE id = 1::int2 + 1.0",
  },
  "an operator with an estimator": {
    setup: `${evil("app.near", "a int, b int", "boolean", "VOLATILE")}; CREATE OPERATOR app.<<| (LEFTARG = int, RIGHTARG = int, FUNCTION = app.near)`,
    swap: [
      "ALTER OPERATOR app.<<| (int, int) SET (RESTRICT = eqsel)",
      "ALTER OPERATOR app.<<| (int, int) SET (RESTRICT = NONE)",
    ],
    sql: "SELECT * FROM app.common WHERE n OPERATOR(app.<<|) 1",
  },
  "a cast": {
    setup: `CREATE TYPE app.mood AS ENUM ('good'); ${evil("app.mood_number", "app.mood")}`,
    swap: [
      "CREATE CAST (app.mood AS int) WITH FUNCTION app.mood_number(app.mood) AS IMPLICIT",
      "DROP CAST (app.mood AS int)",
    ],
    sql: "SELECT * FROM app.items WHERE id = abs('good'::app.mood)",
  },
  "a view replaced": {
    setup: `${evil("app.w")}; CREATE VIEW app.seen AS SELECT id, 1 AS one FROM app.items`,
    swap: [
      "CREATE OR REPLACE VIEW app.seen AS SELECT id, 1 AS one FROM app.items WHERE id = app.w()",
      "CREATE OR REPLACE VIEW app.seen AS SELECT id, 1 AS one FROM app.items",
    ],
    sql: "SELECT * FROM app.seen",
  },
  "a table become a view": {
    setup: `${evil("app.w2")}; CREATE TABLE app.here (id int)`,
    swap: [
      "BEGIN; ALTER TABLE app.here RENAME TO here_table; CREATE VIEW app.here AS SELECT app.w2() AS id WHERE app.w2() = 1; COMMIT",
      "BEGIN; DROP VIEW app.here; ALTER TABLE app.here_table RENAME TO here; COMMIT",
    ],
    sql: "SELECT * FROM app.here",
  },
  "an index on an expression": {
    setup: `${evil("app.x", "n int")}; CREATE TABLE app.indexed AS SELECT i AS id FROM generate_series(1, 100) i`,
    swap: ["CREATE INDEX indexed_x ON app.indexed ((app.x(1) + id))", "DROP INDEX app.indexed_x"],
    sql: "SELECT * FROM app.indexed WHERE id = 1",
  },
  "a domain's check": {
    setup: `${evil("app.c", "n int")}; CREATE DOMAIN app.dom AS int`,
    swap: [
      "ALTER DOMAIN app.dom ADD CONSTRAINT c CHECK (app.c(1) = 1)",
      "ALTER DOMAIN app.dom DROP CONSTRAINT c",
    ],
    sql: "SELECT '{1}'::app.dom[]",
  },
  "a trigger": {
    setup: `CREATE FUNCTION app.t() RETURNS trigger LANGUAGE plpgsql AS $$${EVIL.replace("RETURN 1", "RETURN NEW")}$$; CREATE TABLE app.fired AS SELECT i AS id FROM generate_series(1, 100) i`,
    swap: [
      "CREATE TRIGGER t BEFORE UPDATE ON app.fired FOR EACH ROW EXECUTE FUNCTION app.t()",
      "DROP TRIGGER t ON app.fired",
    ],
    sql: "UPDATE app.fired SET id = id",
    analyze: true,
  },
  "a default": {
    setup: `${evil("app.v3", "", "int", "VOLATILE")}; CREATE TABLE app.filled (id int, v int)`,
    swap: [
      "ALTER TABLE app.filled ALTER v SET DEFAULT app.v3()",
      "ALTER TABLE app.filled ALTER v DROP DEFAULT",
    ],
    sql: "INSERT INTO app.filled (id) SELECT 1",
    analyze: true,
  },
  "a partition": {
    setup: `${evil("app.x2", "n int")}; CREATE TABLE app.parted (id int) PARTITION BY LIST (id); CREATE TABLE app.part (id int); CREATE INDEX ON app.part ((app.x2(1) + id))`,
    swap: [
      "ALTER TABLE app.parted ATTACH PARTITION app.part FOR VALUES IN (1)",
      "ALTER TABLE app.parted DETACH PARTITION app.part",
    ],
    sql: "SELECT * FROM app.parted WHERE id = 1",
  },
  "a name that was nothing, within a body": {
    setup: `${evil("app.w4")}; CREATE FUNCTION app.late() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT count(*) FROM app.ghost); EXCEPTION WHEN undefined_table THEN RETURN 0; END$$`,
    swap: [
      "CREATE VIEW app.ghost AS SELECT app.w4() AS n WHERE app.w4() = 1",
      "DROP VIEW app.ghost",
    ],
    sql: "SELECT * FROM app.items WHERE id = app.late()",
  },
};

describe.each([13, 18] as Version[])("swapped while it is looked at, on %d", (version) => {
  let server: TestServer;
  let on: Bench;
  const swappers: Client[] = [];
  let swapping = false;
  let running: Promise<unknown> = Promise.resolve();

  /** Two sessions of who owns all of it, each swapping back and forth. */
  async function swap(statements: string[]): Promise<void> {
    const { Client: Postgres } = await import("pg");
    swapping = true;
    const loop = async (): Promise<void> => {
      const { host, port } = server;
      const client = new Postgres({
        host,
        port,
        user: "app",
        password: "p",
        database: on.database,
      });
      client.on("error", () => {});
      await client.connect();
      swappers.push(client);
      while (swapping)
        for (const statement of statements)
          await client.query(statement).catch(() => client.query("ROLLBACK"));
    };
    running = Promise.all([loop(), loop()]);
    running.catch(() => {});
    while (swappers.length < 2) await Bun.sleep(5);
  }
  const ran = async () =>
    (
      await on.sql(
        "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND objid = 666",
      )
    )[0].n;

  beforeAll(async () => {
    server = await startServer({ version });
    on = await bench(server, "postgres");
    await on.sql(`CREATE ROLE app LOGIN PASSWORD 'p'; CREATE SCHEMA app AUTHORIZATION app; GRANT CREATE ON SCHEMA public TO app; SET ROLE app;
      CREATE TABLE app.items AS SELECT i AS id FROM generate_series(1, 100) i; CREATE TABLE app.common AS SELECT i % 3 AS n FROM generate_series(1, 900) i;
      ANALYZE app.items; ANALYZE app.common;`);
    for (const { setup } of Object.values(ATTACKS)) if (setup !== "") await on.sql(setup);
    await on.sql("RESET ROLE");
  });
  afterEach(async () => {
    swapping = false;
    await running;
    for (const client of swappers.splice(0)) await client.end();
  });
  afterAll(async () => {
    await on.close();
    await server.stop();
  });

  test.each(Object.entries(ATTACKS))(
    "%s",
    async (_name, attack) => {
      await swap(attack.swap);
      // A session of its own, which ends with what it may have locked.
      const own = await bench(server, "postgres");
      const input: JsonObject = {
        sql: attack.sql,
        analyze: attack.analyze === true,
        timeout: "5s",
      };
      try {
        const until = performance.now() + TIME;
        for (let n = 1; n <= TRIES && performance.now() < until; n++) {
          const outcome = await runStep(analyze, input, own.ctx).then(
            () => "done",
            (error: { code: string }) => error.code,
          );
          expect(outcome).toMatch(/^(done|step_refused|query_failed|timeout)$/);
          expect([n, await ran()]).toEqual([n, 0]);
        }
      } finally {
        await own.close();
      }
    },
    60_000,
  );

  /** A session of who owns all of it, in a transaction that has done this and is left open. */
  async function inTheMiddle(statement: string): Promise<Client> {
    const { Client: Postgres } = await import("pg");
    const { host, port } = server;
    const client = new Postgres({ host, port, user: "app", password: "p", database: on.database });
    client.on("error", () => {});
    await client.connect();
    await client.query(`BEGIN; ${statement}`);
    return client;
  }
  const outcomeOf = async (sql: string, own: Bench, more: JsonObject = {}) =>
    runStep(analyze, { sql, ...more }, own.ctx).then(
      () => ({ code: "done", message: "", hint: "" }),
      (error: { code: string; message: string; hint: string }) => error,
    );

  test("what is open and not committed is waited for, if it may be of what was asked for", async () => {
    await on.sql(
      `SET ROLE app; ${good("app.quiet")}; CREATE TYPE app.colour AS ENUM ('red'); CREATE TABLE app.painted (c app.colour); RESET ROLE`,
    );
    const own = await bench(server, "postgres");
    const plain = "SELECT count(*) FROM app.items WHERE length('a'::varchar) = 1";
    const evilLength = evil("public.length", "varchar");
    const cases: [open: string, sql: string, code: string][] = [
      [evil("app.quiet"), "SELECT * FROM app.items WHERE id = app.quiet()", "step_refused"],
      [evilLength, plain, "step_refused"],
      ["INSERT INTO app.items VALUES (1); CREATE TEMP TABLE t (n int)", plain, "step_refused"],
      // Whatever that did, it made nothing, and a table of that name is not in the way.
      ["INSERT INTO app.items VALUES (1)", plain, "done"],
      // A body's names may come to mean something else, and so may a cast: then nothing is known to be harmless.
      [
        "INSERT INTO app.items VALUES (1)",
        "SELECT * FROM app.items WHERE id = app.quiet()",
        "step_refused",
      ],
      ["INSERT INTO app.items VALUES (1)", "SELECT * FROM app.painted", "step_refused"],
    ];
    for (const [open, sql, code] of version === 13 ? cases.slice(1, 4) : cases) {
      const other = await inTheMiddle(open);
      const said = await outcomeOf(sql, own);
      expect([open, sql, said.code]).toEqual([open, sql, code]);
      if (code !== "done") expect(said.hint).toContain("--user");
      await other.query("ROLLBACK");
      expect([sql, (await outcomeOf(sql, own)).code]).toEqual([sql, "done"]);
      await other.end();
    }
    // One that commits while it is waited for is seen.
    const other = await inTheMiddle(evilLength);
    const said = outcomeOf(plain, own);
    await Bun.sleep(300);
    await other.query("COMMIT");
    expect((await said).message).toContain("public.length");
    await other.query("DROP FUNCTION public.length(varchar)");
    await other.end();
    expect(await ran()).toBe(0);
    expect(
      await on.sql(
        "SELECT l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'pg_proc' AND l.mode = 'ShareLock'",
      ),
    ).toEqual([]);
    await own.close();
  }, 300_000);

  test("while a statement runs, what it does not rest on can be changed, and what it does rest on waits", async () => {
    const own = await bench(server, "postgres");
    const slow =
      "SELECT count(*) FROM app.items a, app.items b, app.items c WHERE sqrt(a.id + b.id + c.id) > 0";
    const running = outcomeOf(
      slow.replace("app.items c", "app.items c, generate_series(1, 12) g"),
      own,
      { analyze: true },
    );
    const held =
      "SELECT count(*)::int AS n FROM pg_locks WHERE relation = 'pg_proc'::regclass AND mode = 'ShareLock'";
    while ((await on.sql(held))[0].n === 0) await Bun.sleep(5);
    const other = await inTheMiddle(
      "CREATE TEMP TABLE t (n int PRIMARY KEY); INSERT INTO app.items VALUES (0); ROLLBACK",
    );
    expect((await on.sql(held))[0].n).toBe(1);
    await other.query(good("app.new_one"));
    expect((await on.sql(held))[0].n).toBe(0);
    await other.end();
    expect((await running).code).toBe("done");
    await own.close();
  }, 300_000);

  test("what calls a body of somebody else's is executed as a superuser for a short time only", async () => {
    await on.sql(
      `SET ROLE app; CREATE FUNCTION app.long(n int) RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE i int := 0; BEGIN WHILE i < 100000 LOOP i := i + 1; END LOOP; RETURN i; END'; RESET ROLE`,
    );
    const own = await bench(server, "postgres");
    const sql = "SELECT app.long(a.id) FROM app.items a, app.items b";
    const said = await outcomeOf(sql, own, { analyze: true, timeout: "60s" });
    expect([said.code, said.message]).toEqual(["timeout", "The statement was stopped after 3 s"]);
    const theirs = await bench(server, "postgres", { user: "app", password: "p" });
    expect(
      (await outcomeOf("SELECT app.long(id) FROM app.items LIMIT 1", theirs, { analyze: true }))
        .code,
    ).toBe("done");
    await theirs.close();
    await own.close();
  }, 300_000);

  test("a statement that is planned beside an index is judged and held as well", async () => {
    await on.sql(`SET ROLE app; ${evil("app.bad")}; RESET ROLE`);
    const own = await bench(server, "postgres");
    const definition = "CREATE INDEX items_id ON app.items (id)";
    const build = (query: string) =>
      runStep(create, { definition, query }, own.ctx).then(
        ({ used }) => `used ${used}`,
        (error: { code: string }) => error.code,
      );
    expect(await build("SELECT * FROM app.items WHERE id = app.bad()")).toBe("step_refused");
    const other = await inTheMiddle(evil("public.length", "varchar"));
    expect(await build("SELECT length('a'::varchar)")).toBe("step_refused");
    await other.end();
    expect(await build("SELECT * FROM app.items WHERE id = $1")).toMatch(/^used /);
    expect(await ran()).toBe(0);
    await own.close();
  }, 300_000);

  test("a role that may become a superuser is one, and may hold nothing", async () => {
    await on.sql("CREATE ROLE nearly LOGIN PASSWORD 'p' IN ROLE postgres");
    const nearly = await bench(server, "postgres", { user: "nearly", password: "p" });
    const said = await outcomeOf("SELECT 1", nearly);
    expect([said.code, said.hint]).toEqual([
      "step_refused",
      expect.stringContaining("or as a superuser"),
    ]);
    await nearly.close();
    // Where nobody else has anything, there is nobody to swap it.
    await on.sql("CREATE DATABASE alone");
    const alone = await bench(server, "alone");
    await alone.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    const there = await bench(server, "alone", { user: "nearly", password: "p" });
    expect((await outcomeOf("SELECT 1", there)).code).toBe("done");
    await there.close();
    await alone.close();
  });
});

test("on a standby nothing can be held: an ordinary role, or a refusal", async () => {
  const primary = await startServer({ version: 18 });
  const on = await bench(primary, "postgres");
  const grounds = async (server: TestServer, user: string, password: string) => {
    const there = await bench(server, "postgres", { user, password });
    const outcome = await runStep(
      analyze,
      { sql: "SELECT * FROM items", analyze: true },
      there.ctx,
    ).then(
      () => "done",
      (error: { code: string; hint: string }) => `${error.code} ${error.hint}`,
    );
    await there.close();
    return outcome;
  };
  await on.sql("CREATE TABLE items (id int); INSERT INTO items VALUES (1)");
  const standby = {
    ...(await startServer({ version: 18, prepare: (dir) => cloneInto(dir, primary) })),
    password: primary.password,
  };
  expect(await grounds(standby, "postgres", primary.password)).toBe("done");
  await on.sql(
    "CREATE ROLE app LOGIN PASSWORD 'p'; GRANT SELECT ON items TO app; CREATE SCHEMA app AUTHORIZATION app",
  );
  const { lsn } = (await on.sql("SELECT pg_current_wal_insert_lsn()::text AS lsn"))[0];
  const copy = await bench(standby, "postgres");
  while (!(await copy.sql(`SELECT pg_last_wal_replay_lsn() >= '${lsn}' AS there`))[0].there)
    await Bun.sleep(20);
  const refused = await grounds(standby, "postgres", primary.password);
  expect(refused).toContain("step_refused Connect as a role");
  expect(refused).toContain("at the primary: `pgdba role create ROLE`");
  expect(await grounds(standby, "app", "p")).toBe("done");
  expect(await grounds(primary, "postgres", primary.password)).toBe("done");
  await copy.close();
  await on.close();
  await standby.stop();
  await primary.stop();
}, 300_000);
