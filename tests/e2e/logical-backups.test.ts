/** pgdba is killed in the middle of a dump and of a restore: nothing half made counts, and `resume` ends what was begun. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { clientOf, startServer, type TestServer } from "../support/postgres.ts";
import { at as valueAt, cli, filesBelow, place, removePlaces, Running } from "./support.ts";

let server: TestServer;
let words: string[];
const here = place();
const env = () => ({ PGDBA_PG_PASSWORD: server.password });

beforeAll(async () => {
  server = await startServer({ version: 15 });
  words = ["--host", server.host, "--port", String(server.port), "--user", "postgres"];
  await sql("CREATE DATABASE shop");
  await sql(
    `CREATE FUNCTION slow(int) RETURNS bool LANGUAGE sql AS $$ SELECT pg_sleep(0.2) IS NOT NULL $$;
    CREATE TABLE orders (id int PRIMARY KEY CHECK (slow(id))); INSERT INTO orders SELECT generate_series(1, 15)`,
    "shop",
  );
}, 300_000);
afterAll(async () => {
  removePlaces();
  await server.stop();
});

async function sql(text: string, database = "postgres"): Promise<any[]> {
  const client = await clientOf(server, database);
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function until(test: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await test()); await Bun.sleep(20))
    if (Date.now() > deadline) throw new Error("never came to it");
}

const below = (part: string) =>
  [...filesBelow(join(here.home, "backups")).keys()].filter((name) => name.includes(part));
const logins = () => [...filesBelow(here.home).keys()].filter((name) => name.includes("/login-"));

/** Begins it, kills it once `moment` has come, and gives the id of the run. */
async function killed(args: string[], moment: () => Promise<boolean>): Promise<string> {
  const running = new Running(args, here, { env: env() });
  await until(moment);
  running.signal("SIGKILL");
  await running.ended();
  const runs = await cli(["runs"], here);
  return String(valueAt(runs.envelope.data, "runs", 0, "id"));
}

test("a dump that was killed is no backup, and resume takes it to its end", async () => {
  const holder = await clientOf(server, "shop");
  await holder.query("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE");
  const waits = async () =>
    (
      await sql(
        "SELECT FROM pg_stat_activity WHERE datname = 'shop' AND wait_event_type = 'Lock' AND application_name LIKE 'pgdba/%'",
      )
    ).length > 0;
  const run = await killed(["backup", "dump", "--in-database", "shop", ...words], waits);
  await holder.query("ROLLBACK");
  await holder.end();
  // pg_dump ended with pgdba; no record, no password file that others could read.
  await until(async () => !(await waits()));
  expect(below("/record/")).toEqual([]);
  for (const name of logins()) expect(statSync(name).mode & 0o77).toBe(0);
  const resumed = await cli(["resume", run], here, { env: env() });
  expect(resumed.envelope).toMatchObject({
    success: true,
    data: { verified: true, databases: [{ database: "shop", tables: 1, rows: 15 }] },
  });
  expect(below("/record/")).toHaveLength(1);
  expect(new Set(below("/backup/").map((name) => /backup\/([^/]+)/.exec(name)?.[1])).size).toBe(1);
  expect(logins()).toEqual([]);
}, 300_000);

test("a restore that was killed leaves no database that looks whole; resume ends it, in its place too", async () => {
  const id = /record\/(.*)\.json$/.exec(below("/record/")[0]!)![1]!;
  const names = async () =>
    (await sql("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")).map(
      ({ datname }) => datname,
    );
  const fills = async () =>
    (
      await sql(
        "SELECT FROM pg_stat_activity WHERE datname LIKE 'pgdba_load%' AND query LIKE 'COPY%'",
      )
    ).length > 0;
  const beside = await killed(["backup", "load", id, ...words], fills);
  expect((await names()).filter((name) => !name.startsWith("pgdba_load"))).toEqual([
    "postgres",
    "shop",
  ]);
  const ended = await cli(["resume", beside], here, { env: env() });
  expect(ended.envelope).toMatchObject({
    success: true,
    data: { database: "shop_restored", rows: 15, compared: true },
  });
  expect(await names()).toEqual(["postgres", "shop", "shop_restored"]);

  const inPlace = [
    "backup",
    "load-in-place",
    id,
    "--in-database",
    "shop",
    "--replace",
    "shop",
    "--yes",
    ...words,
  ];
  const run = await killed(inPlace, fills);
  expect(await names()).toContain("shop");
  const replaced = await cli(["resume", run, "--yes"], here, { env: env() });
  expect(replaced.envelope).toMatchObject({ success: true, data: { database: "shop", rows: 15 } });
  const aside = String(valueAt(replaced.envelope.data, "aside"));
  expect(await names()).toEqual(["postgres", "shop", "shop_restored", aside].toSorted());
}, 300_000);

test("the database of the connection does not choose what is dumped", async () => {
  const ran = await cli(["backup", "dump", ...words, "--database", "shop"], here, { env: env() });
  const databases = valueAt(ran.envelope.data, "databases") as { database: string }[];
  expect(databases.map(({ database }) => database)).toEqual(
    expect.arrayContaining(["postgres", "shop"]),
  );
}, 300_000);
