import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import dump from "../../../steps/backup/dump.ts";
import { quoteIdent, quoteName } from "../../../providers/planner/twin/names.ts";
import load from "../../../steps/backup/load-database.ts";
import readDump from "../../../steps/backup/read-dump.ts";
import { startServer, type TestServer } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "./support.ts";

let server: TestServer;
let at: Bench;
let id: string;

const databases = async () =>
  (await at.sql("SELECT datname FROM pg_database ORDER BY 1")).map(
    ({ datname }) => datname as string,
  );

beforeAll(async () => {
  server = await startServer({ version: 15 });
  at = await bench(server);
  await at.sql(
    "CREATE DATABASE shop TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
  );
  await at.sql(
    "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i, 'note ' || i FROM generate_series(1, 500) i",
    "shop",
  );
  id = (await runStep(dump, { databases: ["shop"] }, at.run())).id;
  await runStep(readDump, { id }, at.run());
}, 300_000);

afterAll(async () => {
  await at.close();
  await server.stop();
});

test("a database is restored beside the one that there is, with all its rows", async () => {
  await at.sql("DELETE FROM orders WHERE id > 10", "shop");
  const made = await runStep(load, { id }, at.run());
  expect(made).toEqual({
    database: "shop_restored",
    aside: null,
    tables: 1,
    rows: 500,
    compared: true,
  });
  expect(await at.sql("SELECT count(*)::int FROM orders", "shop_restored")).toEqual([
    { count: 500 },
  ]);
  expect(await at.sql("SELECT count(*)::int FROM orders", "shop")).toEqual([{ count: 10 }]);
  const [{ datcollate }] = await at.sql(
    "SELECT datcollate FROM pg_database WHERE datname = 'shop_restored'",
  );
  expect(datcollate).toBe("C");
  await expect(runStep(load, { id }, at.run())).rejects.toMatchObject({
    code: "invalid_param",
    message: expect.stringContaining("already"),
    hint: expect.stringMatching(
      /--as.*pgdba backup load-in-place \S+ --in-database shop --replace shop/,
    ),
  });
});

test("in its place it needs the name once more, and the old one keeps its data", async () => {
  await expect(runStep(load, { id, replace: "sho" }, at.run())).rejects.toMatchObject({
    code: "step_refused",
  });
  const ctx = at.run();
  const made = await runStep(load, { id, replace: "shop" }, ctx);
  expect(await at.sql("SELECT count(*)::int FROM orders", "shop")).toEqual([{ count: 500 }]);
  expect(await at.sql("SELECT count(*)::int FROM orders", made.aside)).toEqual([{ count: 10 }]);
  expect(await load.probe!(ctx, { id, replace: "shop" })).toMatchObject({
    state: "done",
    output: { database: "shop" },
  });
  // Taken back, everything is as it was, done twice as well.
  await load.undo!(ctx, { id, replace: "shop" }, made);
  await load.undo!(ctx, { id, replace: "shop" }, made);
  expect(await at.sql("SELECT count(*)::int FROM orders", "shop")).toEqual([{ count: 10 }]);
  expect((await databases()).filter((name) => /before|pgdba_load/.test(name))).toEqual([]);
});

test("what was damaged since, or killed on the way, leaves no database behind", async () => {
  const place = await at.place();
  const { key } = place;
  const file = join(
    at.stateDir,
    "backups",
    key.system_identifier,
    "15",
    key.cluster_id,
    "backup",
    id,
    "dump-0001.pgdump",
  );
  const good = await readFile(file);
  const before = await databases();
  const bad = Buffer.from(good);
  // In the head of the archive, where it stands when it was made: pg_restore does not see it.
  bad[20]! ^= 1;
  await writeFile(file, bad);
  const ctx = at.run();
  await expect(runStep(load, { id, to: "again" }, ctx)).rejects.toMatchObject({
    message: expect.stringMatching(/damaged|pg_restore/),
  });
  await writeFile(file, good);
  expect(await load.probe!(ctx, { id, to: "again" })).toEqual({ state: "not_done" });
  await load.undo!(ctx, { id, to: "again" }, undefined);
  expect(await databases()).toEqual(before);
});

test("a dump of a hostile database runs nothing here, and its names are nothing but names", async () => {
  // What a program of ours would run has our working folder, or that of the state.
  const pwned = `${process.pid}pwn`;
  const schema = `s\n\\! touch ${pwned}1\n--`;
  const table = `t\n\\o |touch ${pwned}2\n;select 1;`;
  const other = `x"; DROP DATABASE shop_restored; --`;
  const hostile = `host=/tmp dbname=postgres\n\\! touch ${pwned}3`;
  const to = `a' dbname='postgres`;
  await at.sql(`CREATE DATABASE ${quoteIdent(hostile)}`);
  await at.sql(
    `CREATE SCHEMA ${quoteIdent(schema)}; CREATE TABLE ${quoteName(schema, table)} (a text);
    INSERT INTO ${quoteName(schema, table)} VALUES (E'\\\\.\\n\\\\! touch ${pwned}4\\nDROP TABLE x;');
    CREATE TABLE ${quoteIdent(other)} (b int);
    COMMENT ON TABLE ${quoteIdent(other)} IS E'c\\n\\\\! touch ${pwned}5\\n';
    COMMENT ON SCHEMA ${quoteIdent(schema)} IS E'\\n\\\\unrestrict \\x60touch ${pwned}6\\x60\\n';
    CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT E'\\n\\\\! touch ${pwned}7\\n' $$`,
    hostile,
  );
  const seen: string[][] = [];
  const inner = at.run();
  const run = () =>
    at.run({ spawn: (argv, options) => (seen.push(argv), inner.spawn(argv, options)) });
  const made = await runStep(dump, { databases: [hostile] }, run());
  await runStep(readDump, { id: made.id }, run());
  const restored = await runStep(load, { id: made.id, to }, run());
  expect(restored).toMatchObject({ database: to, tables: 2, rows: 1, compared: true });
  const [row] = await at.sql(`SELECT a FROM ${quoteName(schema, table)}`, to);
  expect(row.a).toBe(`\\.\n\\! touch ${pwned}4\nDROP TABLE x;`);
  expect(await databases()).toContain("shop_restored");
  for (const folder of [process.cwd(), at.stateDir, join(server.dataDir, ".."), server.dataDir])
    expect((await readdir(folder)).filter((name) => name.startsWith(pwned))).toEqual([]);
  expect(seen.flat().filter((word) => /(^|\/)(psql|sh|bash)$/.test(word))).toEqual([]);
});
