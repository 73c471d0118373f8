import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("sequences behind their column on PostgreSQL %d", (version) => {
  let server: Planted;
  let app: Client;
  beforeAll(async () => {
    server = await planted(version);
    app = await server.session("app");
    await app.query(`
      CREATE TABLE "Invoices" ("Id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int);
      INSERT INTO "Invoices" OVERRIDING SYSTEM VALUE SELECT g, g FROM generate_series(1, 500) g;
      CREATE TABLE fine (id serial PRIMARY KEY); INSERT INTO fine DEFAULT VALUES;
      CREATE TABLE fresh (id serial PRIMARY KEY); INSERT INTO fresh VALUES (1);
      CREATE TABLE down (id int PRIMARY KEY); INSERT INTO down VALUES (7);
      CREATE SEQUENCE down_seq INCREMENT -1; ALTER SEQUENCE down_seq OWNED BY down.id`);
  });
  afterAll(() => server.stop());

  test("a plan tells which are behind, and a run moves only these", async () => {
    const failed = await app.query('INSERT INTO "Invoices" (n) VALUES (1)').catch((e) => e);
    expect(failed.code).toBe("23505");
    const plan = (await server.run(["sequence", "catch-up", "--plan"])).envelope.data;
    expect(plan.behind).toEqual([
      { sequence: '"Invoices_Id_seq"', column: '"Invoices"."Id"', last: 1, largest: 500 },
      { sequence: "fresh_id_seq", column: "fresh.id", last: null, largest: 1 },
    ]);
    const { data } = (await server.run(["sequence", "catch-up"])).envelope;
    expect(data).toMatchObject({
      looked_at: 3,
      moved: [
        { sequence: '"Invoices_Id_seq"', before: 1, after: 500 },
        { sequence: "fresh_id_seq", before: null, after: 1 },
      ],
    });
    const added = await app.query('INSERT INTO "Invoices" (n) VALUES (1) RETURNING "Id"');
    expect(added.rows).toEqual([{ Id: 501 }]);
    await app.query("INSERT INTO fresh DEFAULT VALUES");
    expect((await server.run(["sequence", "catch-up"])).envelope.data.moved).toEqual([]);
  }, 300_000);

  test("one that starts above its rows is never moved back, steps stay whole, and one that cycles or ends is left", async () => {
    await app.query(`
      CREATE TABLE ahead (id serial PRIMARY KEY); ALTER SEQUENCE ahead_id_seq RESTART 1000; INSERT INTO ahead VALUES (50);
      CREATE TABLE odd (id int PRIMARY KEY); CREATE SEQUENCE "Odd Seq" INCREMENT 2 OWNED BY odd.id; SELECT nextval('"Odd Seq"'); INSERT INTO odd VALUES (8);
      CREATE TABLE round (id int PRIMARY KEY); CREATE SEQUENCE round_seq MAXVALUE 100 CYCLE OWNED BY round.id; SELECT setval('round_seq', 5); INSERT INTO round VALUES (90);
      CREATE TABLE short (id bigint PRIMARY KEY); CREATE SEQUENCE a_short_seq AS int OWNED BY short.id; INSERT INTO short VALUES (3000000000)`);
    const { data, error } = (await server.run(["sequence", "catch-up"])).envelope;
    expect(data.moved).toEqual([{ sequence: '"Odd Seq"', column: "odd.id", before: 1, after: 9 }]);
    expect(error.message).toBe(
      "short.id is at 3000000000, and a_short_seq ends at 2147483647; what could be moved is moved",
    );
    const next = await app.query(
      `SELECT nextval('ahead_id_seq')::int AS ahead, nextval('"Odd Seq"')::int AS odd, nextval('round_seq')::int AS round`,
    );
    expect(next.rows).toEqual([{ ahead: 1000, odd: 11, round: 6 }]);
  }, 300_000);
});
