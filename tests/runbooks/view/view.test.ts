import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("materialized views of PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  const list = async (...words: string[]) =>
    (await server.run(["view", "list", ...words])).envelope.data.views;
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query(`CREATE TABLE t AS SELECT g AS id, g % 7 AS k FROM generate_series(1, 2000) g;
      CREATE MATERIALIZED VIEW "Sums;1" AS SELECT k, sum(id) AS n FROM t GROUP BY k; CREATE UNIQUE INDEX sums_k ON "Sums;1" (k);
      CREATE MATERIALIZED VIEW bare AS SELECT * FROM t; CREATE UNIQUE INDEX bare_some ON bare (id) WHERE k = 0; CREATE UNIQUE INDEX bare_of ON bare ((id + 0));
      CREATE MATERIALIZED VIEW empty AS SELECT * FROM t WITH NO DATA`);
  });
  afterAll(() => server.stop());

  test("the list tells their size, whether they have rows, and by which index others go on reading", async () => {
    const views = await list();
    expect(views.map((one: any) => [one.name, one.populated, one.key])).toEqual([
      ["empty", false, null],
      ["bare", true, null],
      ['"Sums;1"', true, "sums_k"],
    ]);
    expect(views[1].bytes).toBeGreaterThan(50_000);
    expect(Math.abs(views[1].not_written_seconds)).toBeLessThan(600);
    await dba.query("CREATE ROLE guest LOGIN PASSWORD 'g'");
    const as = { PGDBA_PG_USER: "guest", PGDBA_PG_PASSWORD: "g" };
    const seen = (await server.run(["view", "list", "bare"], as)).envelope.data.views;
    expect(seen).toMatchObject([{ not_written_since: null, may_refresh: false }]);
    const refused = await server.run(["view", "refresh", '"Sums;1"'], as);
    expect(refused.envelope.error.message).toBe('Only its owner postgres may refresh "Sums;1"');
  }, 300_000);

  test("plain views are listed with their owner and what they read; one by its name with its definition", async () => {
    await dba.query(`CREATE ROLE reports; CREATE VIEW low AS SELECT id FROM t WHERE id < 10; CREATE VIEW "Low;2" AS SELECT l.id FROM low l JOIN "Sums;1" s ON s.k = l.id;
      ALTER VIEW low OWNER TO reports`);
    const { data } = (await server.run(["view", "list"])).envelope;
    expect(data.views).toHaveLength(3);
    expect(data.plain).toMatchObject([
      { name: '"Low;2"', owner: "postgres", reads: ['"Sums;1"', "low"], read_by: [] },
      { name: "low", owner: "reports", reads: ["t"], read_by: ['"Low;2"'], definition: null },
    ]);
    const one = (await server.run(["view", "list", "low"])).envelope.data;
    expect(one).toMatchObject({ views: [], left_out: 0, plain: [{ name: "low" }] });
    expect(one.plain[0].definition).toContain("WHERE");
    await dba.query(`DROP VIEW "Low;2", low`);
  }, 300_000);

  test("one is refreshed while others read it, by the list's own command", async () => {
    await dba.query("INSERT INTO t VALUES (100000, 0)");
    const reader = await server.session("reader");
    await reader.query(`BEGIN; SELECT * FROM "Sums;1"`);
    const before = (await dba.query(`SELECT n FROM "Sums;1" WHERE k = 0`)).rows;
    const planned = await server.run(["view", "refresh", '"Sums;1"', "--plan"]);
    expect(planned.envelope.error).toBeNull();
    const { envelope } = await server.run(["view", "refresh", '"Sums;1"']);
    expect(envelope).toMatchObject({ error: null, data: { how: "while others read" } });
    await reader.query("COMMIT");
    const after = (await dba.query(`SELECT n FROM "Sums;1" WHERE k = 0`)).rows;
    expect(Number(after[0].n) - Number(before[0].n)).toBe(100_000);
  }, 300_000);

  test("one that has no rows yet is filled", async () => {
    expect((await dba.query("SELECT FROM empty").catch((error) => error)).code).toBe("55000");
    const { data } = (await server.run(["view", "refresh", "empty"])).envelope;
    expect(data).toMatchObject({ view: "empty", how: "filled for the first time" });
    expect((await dba.query("SELECT FROM empty")).rowCount).toBe(2001);
  }, 300_000);

  test("one without such an index is refused, and --exclusive is disruptive and waits for its lock briefly", async () => {
    const refused = (await server.run(["view", "refresh", "bare"])).envelope;
    expect(refused.error.message).toStartWith(
      "bare has no unique index on columns of all its rows",
    );
    const gate = await server.run(["view", "refresh", "bare", "--exclusive"]);
    expect([gate.exit, gate.envelope.error.code]).toEqual([4, "approval_needed"]);
    const exclusive = ["view", "refresh", "bare", "--exclusive", "--yes"];
    const reader = await server.session("reader");
    await reader.query("BEGIN; SELECT FROM bare");
    const locked = (await server.run([...exclusive, "--lock-timeout", "200ms"])).envelope;
    expect(locked.error.data.sqlstate).toBe("55P03");
    await reader.query("COMMIT");
    const { envelope } = await server.run(exclusive);
    expect(envelope).toMatchObject({ error: null, data: { how: "while nobody read" } });
    expect((await dba.query("SELECT FROM bare")).rowCount).toBe(2001);
  }, 300_000);
});
