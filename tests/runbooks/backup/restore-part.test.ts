/** A table and a database come out of a physical backup, beside the originals, on a cluster of real servers. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { at, cli, type Ran, removePlaces, Running } from "../../e2e/support.ts";
import { KILL_AT, KILLED, runIn } from "../../support/live.ts";
import { LIMIT_MS, Rehearsed } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const folder = join(shop.place.root, "backups");
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const failure = ({ exit, envelope }: Ran) => [exit, envelope.error?.code, envelope.error?.message];
const WELL = [0, undefined, undefined];
const backup = (what: string, ...more: string[]): Promise<Ran> =>
  cli(["backup", what, "--cluster", "shop", "--format", "json", ...more], shop.place, {
    limitMs: LIMIT_MS,
  });
const sql = (text: string, database = "Shop") => shop.ask("pg1", text, undefined, database);
const databases = async () =>
  (await sql("select datname from pg_database order by 1", "postgres")).map(([name]) => name);
/** What a restore may leave beside the data of the servers. */
const beside = () =>
  ["pg1", "pg2"].flatMap((node) =>
    readdirSync(dirname(shop.data(node))).filter((name) => name.includes("scratch")),
  );
const tables = async () =>
  (
    await sql(
      "select format('%s.%s', n.nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'p') and n.nspname !~ '^(pg_|information)' order by 1",
    )
  ).map(([name]) => name);

const MADE = `
  CREATE SCHEMA "Sales";
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE TABLE customers (id int PRIMARY KEY);
  INSERT INTO customers VALUES (1);
  CREATE TABLE "Sales"."Orders" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers, m mood,
    amount numeric, twice numeric GENERATED ALWAYS AS (amount * 2) STORED, note text CHECK (note <> ''));
  ALTER TABLE "Sales"."Orders" OWNER TO app;
  CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
  CREATE TABLE logs (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
  CREATE TABLE logs_2 PARTITION OF logs FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
  ALTER TABLE logs_2 OWNER TO gone;
  INSERT INTO logs SELECT i, '2026-06-25'::date + i FROM generate_series(1, 10) i;
  CREATE UNLOGGED TABLE fast (id int);
  INSERT INTO "Sales"."Orders" (customer, m, amount, note) SELECT 1, 'good', i, 'n' || i FROM generate_series(1, 100) i;
  CREATE TRIGGER no BEFORE INSERT ON "Sales"."Orders" FOR EACH ROW EXECUTE FUNCTION no();
  CREATE FUNCTION boom() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'boom'; END $$;
  CREATE EVENT TRIGGER boom ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'ALTER INDEX', 'DROP TRIGGER') EXECUTE FUNCTION boom();
`;
let moment = "";

test("a cluster has a backup, and what was done wrong later", async () => {
  expect(failure(await shop.create("--nodes", "pg1,pg2", "--pg-version", "15"))).toEqual(WELL);
  await sql("alter system set max_prepared_transactions = 5", "postgres");
  const made = await backup("setup", "--repository", folder, "--restart", "--yes");
  expect(failure(made)).toEqual(WELL);
  await sql("create role app", "postgres");
  await sql("create role gone", "postgres");
  await sql('create database "Shop"', "postgres");
  expect(failure(await backup("create"))).toEqual(WELL);
  await sql(MADE);
  // Its locks would hold up whoever takes the table out.
  await sql(
    `begin; update "Sales"."Orders" set note = 'later' where id = 1; prepare transaction 'open'`,
  );
  moment = String((await sql("select clock_timestamp()::text"))[0]![0]);
  await sql(`commit prepared 'open'`);
  await sql(
    `drop event trigger boom; delete from "Sales"."Orders" where id > 5; drop table logs; reassign owned by gone to postgres; drop owned by gone`,
  );
  await sql("drop role gone", "postgres");
  await sql("select pg_create_restore_point('end')");
  await sql("select pg_switch_wal()");
}, 300_000);

test("a table comes back beside the original, with all that is its own, and nothing else is touched", async () => {
  const ran = await backup(
    "restore",
    "--table",
    '"Sales"."Orders"',
    "--in-database",
    "Shop",
    "--target-time",
    moment,
  );
  expect(failure(ran)).toEqual(WELL);
  const name = String(at(ran.envelope.data, "table")).replace("Sales.", "");
  expect(name).toMatch(/^Orders_restored_\d{8}_\d{6}$/);
  expect(ran.envelope.command).toBe("backup restore-part");
  expect(ran.envelope.data).toMatchObject({
    database: "Shop",
    rows: 100,
    partitions: 0,
    owner: "app",
  });
  expect(at(ran.envelope.data, "left_out")).toMatchObject([
    {
      kind: "foreign key",
      name: "Orders_customer_fkey",
      definition: expect.stringContaining("customers"),
    },
    { kind: "trigger", name: "no" },
  ]);
  const of = `"Sales"."${name}"`;
  expect(
    await sql(
      `select count(*)::int, count(*) filter (where note = 'later')::int, sum(twice)::int from ${of}`,
    ),
  ).toEqual([[100, 0, 10100]]);
  expect(await sql(`select count(*)::int from "Sales"."Orders"`)).toEqual([[5]]);
  expect(
    await sql(`select relowner::regrole::text from pg_class where oid = '${of}'::regclass`),
  ).toEqual([["app"]]);
  expect(
    await sql(
      `select contype::text from pg_constraint where conrelid = '${of}'::regclass order by 1`,
    ),
  ).toEqual([["c"], ["p"]]);
  // It has a sequence of its own, which goes on behind the last row.
  expect(
    Number((await sql(`insert into ${of} (note) values ('new') returning id`))[0]![0]),
  ).toBeGreaterThan(100);
  expect(beside()).toEqual([]);
  const again = await backup(
    "restore",
    "--table",
    "Sales.Orders",
    "--in-database",
    "Shop",
    "--as",
    name,
  );
  expect(failure(again)).toEqual([2, "invalid_param", `Shop has Sales.${name} already`]);
  await sql(`drop table ${of}`);
});

test("a partitioned table that was dropped comes back whole under its own name; a role that is gone is told", async () => {
  const ran = await backup(
    "restore",
    "--table",
    "logs",
    "--in-database",
    "Shop",
    "--target-time",
    moment,
    "--as",
    "logs",
    "--node",
    "pg1",
  );
  expect(failure(ran)).toEqual(WELL);
  expect(ran.envelope.data).toMatchObject({
    table: "public.logs",
    rows: 10,
    partitions: 2,
    owner: null,
    node: "pg1",
  });
  expect(at(ran.envelope.data, "run", "warnings")).toContainEqual(
    expect.stringContaining("gone is not there any more"),
  );
  expect(
    await sql(
      "select tableoid::regclass::text like 'logs_1_restored%', count(*)::int from logs group by 1 order by 1",
    ),
  ).toEqual([
    [false, 5],
    [true, 5],
  ]);
  expect(beside()).toEqual([]);
});

test("what can't be had is refused before anything is fetched, or leaves nothing", async () => {
  const refused = async (...words: string[]) => failure(await backup("restore", ...words));
  const moments = ["--target-time", moment];
  expect(await refused("--table", "a.b.c", "--in-database", "Shop")).toEqual([
    2,
    "invalid_param",
    '"a.b.c" names no table',
  ]);
  expect(await refused("--table", "nosuch.orders", "--in-database", "Shop")).toEqual([
    2,
    "invalid_param",
    "Shop has no schema nosuch",
  ]);
  expect(await refused("--table", "pg_catalog.pg_class", "--in-database", "Shop")).toEqual([
    2,
    "invalid_param",
    "pg_catalog belongs to the server itself",
  ]);
  // A dropped one is not to be exchanged for another.
  expect(await refused("--table", "logs", "--in-database", "Dropped")).toEqual([
    2,
    "invalid_param",
    "There is no database Dropped on the server",
  ]);
  // A table has a type of its name, which the last step would find taken.
  expect(await refused("--table", "logs", "--in-database", "Shop", "--as", "mood")).toEqual([
    2,
    "invalid_param",
    "Shop has public.mood already",
  ]);
  expect(await refused("--in-database", "Shop", "--as", "postgres")).toEqual([
    2,
    "invalid_param",
    "There is a database postgres already",
  ]);
  expect((await refused("--table", "logs", "--in-place"))[2]).toContain("not put in the place");
  expect(
    (
      await refused(
        "--table",
        "logs",
        "--in-database",
        "Shop",
        "--target-time",
        "2020-01-01 00:00Z",
      )
    )[1],
  ).toBe("step_refused");
  const before = [await tables(), await databases()];
  // What the table needs is gone meanwhile.
  await sql("alter type mood rename to feeling");
  const failed = await backup(
    "restore",
    "--table",
    "Sales.Orders",
    "--in-database",
    "Shop",
    ...moments,
  );
  expect(failure(failed).slice(0, 2)).toEqual([5, "command_failed"]);
  await sql("alter type feeling rename to mood");
  expect([await tables(), await databases()]).toEqual(before);
  expect(beside()).toEqual([]);
});

test("a database comes back as a new one; a run that was killed is finished by resume", async () => {
  const words = [
    "backup",
    "restore",
    "--cluster",
    "shop",
    "--format",
    "json",
    "--in-database",
    "Shop",
    "--target-time",
    moment,
    "--as",
    "Old shop",
    "--no-owners",
  ];
  const { exit, stderr } = await new Running(words, shop.place, {
    limitMs: LIMIT_MS,
    preload: KILL_AT,
    // It has its name by then, and nobody knows it: the step is asked whether it happened.
    env: { KILL_AT: "acted taken/database" },
  }).ended();
  expect(exit).toBe(KILLED);
  const ran = await cli(["resume", runIn(stderr)!, "--format", "json"], shop.place, {
    limitMs: LIMIT_MS,
  });
  expect(failure(ran)).toEqual(WELL);
  expect(ran.envelope.data).toMatchObject({ database: "Old shop", rows: 111, table: null });
  expect(await sql(`select count(*)::int from "Sales"."Orders"`, "Old shop")).toEqual([[100]]);
  expect((await databases()).filter((name) => String(name).startsWith("pgdba"))).toEqual([]);
  expect(beside()).toEqual([]);
});

test("their tests without servers pass", async () => {
  for (const name of ["restore-part", "take-out"]) {
    const ran = await cli(["test", `backup/${name}`], shop.place);
    expect([name, ran.exit, at(ran.envelope.data, "failed")]).toEqual([name, 0, 0]);
  }
});

test("with a logical backup its dump is loaded, and it can't be brought to a moment", async () => {
  const dumped = await backup("dump", "--in-database", "Shop");
  expect(failure(dumped)).toEqual(WELL);
  const id = String(at(dumped.envelope.data, "id"));
  const ran = await backup("restore", "--backup-id", id, "--table", "Sales.Orders", "--as", "five");
  expect(failure(ran)).toEqual(WELL);
  expect(ran.envelope.data).toMatchObject({ database: "Shop", table: "Sales.five", rows: 5 });
  const refused = await backup(
    "restore",
    "--backup-id",
    id,
    "--table",
    "Sales.Orders",
    "--target-time",
    moment,
  );
  expect(refused.envelope.error?.message).toContain("is a logical backup");
});
