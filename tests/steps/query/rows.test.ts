import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Planted, planted } from "../../support/planted.ts";

let server: Planted;
beforeAll(async () => {
  server = await planted(18);
  const dba = await server.session("dba");
  await dba.query(`CREATE TABLE t (n int, s text); INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 80) n; CREATE SEQUENCE seq;
    CREATE FUNCTION acts() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (0) RETURNING n'`);
}, 300_000);
afterAll(() => server?.stop());

test("rows come bounded, with the values of the parameters", async () => {
  const all = (await server.run(["query", "rows", "SELECT * FROM t ORDER BY n"])).envelope.data;
  expect(all.rows).toHaveLength(50);
  expect(all).toMatchObject({ truncated: true });
  const one = await server.run([
    "query",
    "rows",
    "SELECT s FROM t WHERE n = $1 AND s <> $2",
    "--values",
    '[7, "x"]',
  ]);
  expect(one.envelope.data).toMatchObject({ rows: [{ s: "row 7" }], truncated: false });
});

test.each([
  "DELETE FROM t RETURNING n",
  "WITH gone AS (DELETE FROM t RETURNING n) SELECT * FROM gone",
  "SELECT 1; DELETE FROM t",
  "SELECT acts()",
  "SELECT nextval('seq')",
  "SELECT pg_terminate_backend(pg_backend_pid())",
  "SELECT pg_read_file('PG_VERSION')",
  "SELECT lo_export(1, 'x')",
  "COPY t TO '/dev/null'",
  "EXPLAIN ANALYZE SELECT acts()",
  "SELECT * INTO other FROM t",
  "SET work_mem = '1MB'",
  "COMMIT",
  "SELECT rolname, rolpassword FROM pg_authid",
  "SELECT (s).passwd FROM (SELECT s FROM pg_catalog.pg_shadow s) x",
])("what may do more than read is refused: %s", async (sql) => {
  const { error } = (await server.run(["query", "rows", sql])).envelope;
  expect(error.code).toBe("step_refused");
});

test("passwords in texts are masked", async () => {
  const sql =
    "SELECT 'host=a password=geheim user=b' AS c, ARRAY['postgres://u:geheim@h/d'] AS a, 'CREATE ROLE x PASSWORD ''SCRAM-SHA-256$4096:abc$d:e'' ' AS v, 'plain' AS p";
  const { rows } = (await server.run(["query", "rows", sql])).envelope.data;
  expect(rows).toEqual([
    {
      c: "host=a password=*** user=b",
      a: ["postgres://u:***@h/d"],
      v: "CREATE ROLE x PASSWORD '***' ",
      p: "plain",
    },
  ]);
});

test("nothing was changed by what was refused", async () => {
  const { rows } = (await server.run(["query", "rows", "SELECT count(*)::int AS n FROM t"]))
    .envelope.data;
  expect(rows).toEqual([{ n: 80 }]);
});
