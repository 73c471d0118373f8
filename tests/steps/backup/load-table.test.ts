import { afterAll, beforeAll, expect, test } from "bun:test";
import dump from "../../../steps/backup/dump.ts";
import load from "../../../steps/backup/load-table.ts";
import { startServer, type TestServer } from "../../support/postgres.ts";
import { type Bench, bench, filesOf, runStep } from "./support.ts";

let server: TestServer;
let at: Bench;
let id: string;

beforeAll(async () => {
  server = await startServer({ version: 15 });
  at = await bench(server);
  await at.sql("CREATE DATABASE shop");
  await at.sql(
    `CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers VALUES (1);
    CREATE SCHEMA "Sales";
    CREATE TABLE "Sales"."Orders" (id serial PRIMARY KEY, customer int REFERENCES customers, m mood, note text CHECK (note <> 'x'));
    CREATE INDEX ON "Sales"."Orders" (customer);
    INSERT INTO "Sales"."Orders" (customer, m, note) SELECT 1, 'good', 'n' || i FROM generate_series(1, 300) i;
    CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER no BEFORE INSERT ON "Sales"."Orders" FOR EACH ROW EXECUTE FUNCTION no();
    CREATE FUNCTION boom() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'boom'; END $$;
    CREATE EVENT TRIGGER boom ON ddl_command_start WHEN TAG IN ('ALTER INDEX', 'ALTER TABLE', 'ALTER SEQUENCE') EXECUTE FUNCTION boom()`,
    "shop",
  );
  id = (await runStep(dump, { databases: ["shop"], globals: false }, at.run())).id;
  // What is here may act on what is done here; what the dump brings may not.
  await at.sql("DROP EVENT TRIGGER boom", "shop");
}, 300_000);

afterAll(async () => {
  await at.close();
  await server.stop();
});

const scratches = async () =>
  (await at.sql("SELECT datname FROM pg_database WHERE datname LIKE 'pgdba%'")).length;

test("a table comes back beside the one that there is, with keys, indexes and sequence, and no code runs", async () => {
  await at.sql('DELETE FROM "Sales"."Orders" WHERE id > 5', "shop");
  const made = await runStep(load, { id, table: "Sales.Orders" }, at.run());
  expect(made).toEqual({ database: "shop", table: "Sales.Orders_restored", rows: 300 });
  expect(await at.sql('SELECT count(*)::int FROM "Sales"."Orders"', "shop")).toEqual([
    { count: 5 },
  ]);
  const indexes = await at.sql(
    `SELECT count(*)::int FROM pg_index WHERE indrelid = '"Sales"."Orders_restored"'::regclass`,
    "shop",
  );
  expect(indexes).toEqual([{ count: 2 }]);
  const kinds = await at.sql(
    `SELECT contype::text FROM pg_constraint WHERE conrelid = '"Sales"."Orders_restored"'::regclass ORDER BY 1`,
    "shop",
  );
  expect(kinds).toEqual([{ contype: "c" }, { contype: "p" }]);
  const [{ next }] = await at.sql(
    `SELECT pg_get_serial_sequence('"Sales"."Orders_restored"', 'id') AS next`,
    "shop",
  );
  expect(next).toContain("restored");
  expect(await scratches()).toBe(0);
  expect((await filesOf(`${at.stateDir}/tmp`)).length).toBe(0);
  await expect(runStep(load, { id, table: "Sales.Orders" }, at.run())).rejects.toMatchObject({
    code: "invalid_param",
    message: expect.stringContaining("already"),
  });
});

test("a table that was dropped comes back under its own name, and is taken back with the run", async () => {
  await at.sql('SET session_replication_role = replica; DROP TABLE "Sales"."Orders"', "shop");
  const ctx = at.run();
  const input = { id, table: '"Sales"."Orders"', to: "Orders" };
  expect(await runStep(load, input, ctx)).toMatchObject({ table: "Sales.Orders", rows: 300 });
  await load.undo!(ctx, input, undefined);
  await load.undo!(ctx, input, undefined);
  expect(await at.sql(`SELECT to_regclass('"Sales"."Orders"') AS there`, "shop")).toEqual([
    { there: null },
  ]);
});

test("a table that the backup does not have is told, and leaves nothing", async () => {
  await expect(runStep(load, { id, table: "sales.orders" }, at.run())).rejects.toMatchObject({
    code: "invalid_param",
    hint: expect.stringContaining("case-sensitive"),
  });
  await expect(runStep(load, { id, table: "a.b.c" }, at.run())).rejects.toMatchObject({
    code: "invalid_param",
  });
  expect(await scratches()).toBe(0);
});

test("a run whose pg_restore fails takes back what it made, and no word of its command names a file of this machine", async () => {
  const words: string[] = [];
  const real = at.run().spawn;
  const ctx = at.run({
    spawn: (argv, options) => {
      words.push(...argv);
      return argv.includes("--exit-on-error")
        ? real(["sh", "-c", "cat >/dev/null; exit 3"], options)
        : real(argv, options);
    },
  });
  const input = { id, table: "Sales.Orders", to: "Orders_late" };
  await expect(runStep(load, input, ctx)).rejects.toMatchObject({ code: "command_failed" });
  // The engine takes back only a step that did not say that it has changed nothing.
  expect(ctx.recorded.unchanged).toBe(0);
  expect(words.filter((word) => word.includes(at.stateDir))).toEqual([]);
  expect(await scratches()).toBe(1);
  await load.undo!(ctx, input, undefined);
  expect(await scratches()).toBe(0);
});
