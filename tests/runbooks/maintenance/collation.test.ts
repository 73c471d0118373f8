import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted } from "../../support/planted.ts";

let server: Planted;
let dba: Client;
const SHOP = ["--database", "shop"];
const found = async (): Promise<string[]> =>
  (
    await server.run(["health", "check", "--only", "collation-database,collation-object", ...SHOP])
  ).envelope.data.findings.map((one: { check: string }) => one.check);

beforeAll(async () => {
  server = await planted(18);
  const admin = await server.session("admin");
  await admin.query(
    "CREATE DATABASE shop LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8' ENCODING 'UTF8' TEMPLATE template0",
  );
  dba = await server.session("dba", "shop");
  await dba.query(`
    CREATE TABLE people (id int PRIMARY KEY, name text, code text COLLATE "C", town text COLLATE "de-x-icu");
    INSERT INTO people VALUES (1, 'a', 'a', 'a'), (2, 'b', 'b', 'b');
    CREATE INDEX by_name ON people (name); CREATE INDEX by_code ON people (code); CREATE INDEX by_town ON people (town);
    CREATE UNIQUE INDEX once ON people (lower(name)); ALTER TABLE people ADD CONSTRAINT alone EXCLUDE (name WITH =);
    UPDATE pg_collation SET collversion = '1' WHERE collname = 'de-x-icu'`);
  await admin.query("UPDATE pg_database SET datcollversion = '1' WHERE datname = 'shop'");
}, 300_000);
afterAll(() => server?.stop());

test("after an upgrade of the operating system: nothing is recorded while an index can't be built, then all is well", async () => {
  expect(await found()).toEqual(["collation-database", "collation-object"]);
  const plan = (await server.run(["maintenance", "collation", "--plan", ...SHOP])).envelope.data;
  expect(plan.indexes.toSorted()).toEqual(["alone", "by_name", "by_town", "once"]);
  // Double rows that the changed order let in.
  await dba.query(
    "SET session_replication_role = replica; UPDATE pg_index SET indisready = false WHERE indexrelid = 'once'::regclass",
  );
  await dba.query("INSERT INTO people VALUES (3, 'A', 'c', 'c')");
  await dba.query("UPDATE pg_index SET indisready = true WHERE indexrelid = 'once'::regclass");
  const failed = (await server.run(["maintenance", "collation", ...SHOP])).envelope;
  expect(failed.error.message).toContain("once");
  expect(failed.error.hint).toContain("pgdba constraint duplicates");
  expect(await found()).toEqual(["collation-database", "collation-object"]);
  await dba.query(
    "SET enable_indexscan = off; SET enable_bitmapscan = off; DELETE FROM people WHERE id = 3",
  );
  const { data } = (await server.run(["maintenance", "collation", ...SHOP])).envelope;
  expect(data).toMatchObject({
    database: "shop",
    collations: ['"de-x-icu"'],
    rebuilt: 4,
    other_databases: [],
  });
  expect(await found()).toEqual([]);
  const elsewhere = (await server.run(["maintenance", "collation"])).envelope.data;
  expect(elsewhere).toMatchObject({ database: null, rebuilt: 0 });
}, 300_000);

test.each([13, 18] as const)(
  "on %d a collation without a version on record does not pass",
  async (version) => {
    const old = await planted(version);
    const admin = await old.session("admin");
    await admin.query(
      `CREATE TABLE people (town text COLLATE "de-x-icu"); CREATE INDEX by_town ON people (town)`,
    );
    const looked = async () =>
      (await old.run(["health", "check", "--only", "collation-object"])).envelope.data;
    expect((await looked()).passed).toEqual(["collation-object"]);
    await admin.query("UPDATE pg_collation SET collversion = NULL WHERE collname = 'de-x-icu'");
    const { passed, skipped, partial, findings } = await looked();
    expect([passed, findings]).toEqual([[], []]);
    expect([...skipped, ...partial]).toMatchObject([
      { code: "unknown", reason: expect.stringContaining("no version of it was recorded") },
    ]);
    await old.stop();
  },
  300_000,
);

test("on 13, where only collations have a version", async () => {
  const old = await planted(13);
  const one = await old.session("dba");
  await one.query(`
    CREATE TABLE people (town text COLLATE "de-x-icu"); CREATE INDEX by_town ON people (town);
    UPDATE pg_collation SET collversion = '1' WHERE collname = 'de-x-icu'`);
  const { data } = (await old.run(["maintenance", "collation"])).envelope;
  const after = (await old.run(["health", "check", "--only", "collation-object"])).envelope;
  await old.stop();
  expect(data).toMatchObject({ database: null, collations: ['"de-x-icu"'], rebuilt: 1 });
  expect(after.data.findings).toEqual([]);
}, 300_000);
