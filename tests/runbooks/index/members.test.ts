/** Scans are counted by each server for itself: what only a standby uses may not go. On a cluster of plain processes. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cli, removePlaces } from "../../e2e/support.ts";
import { LIMIT_MS, Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const SETTINGS = JSON.stringify({
  fsync: "off",
  shared_preload_libraries: "pg_stat_statements",
  wal_level: "logical",
});
const shop = new Rehearsed("counted");
beforeAll(async () => {
  expect((await shop.run("create", "--settings", SETTINGS)).envelope.error).toBeNull();
  await shop.ask(
    "pg1",
    `CREATE EXTENSION pg_stat_statements;
     CREATE TABLE "Orders" (id int PRIMARY KEY, customer int, total int);
     INSERT INTO "Orders" SELECT i, i, i FROM generate_series(1, 20000) i;
     CREATE INDEX "By customer" ON "Orders" (customer); CREATE INDEX by_total ON "Orders" (total); ANALYZE "Orders"`,
  );
});
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const list = async (...args: string[]): Promise<any> => {
  const argv = ["index", "list", ...args, "--min-days", "0", "--cluster", shop.name, "--quiet"];
  const { envelope } = await cli(argv, shop.place, { limitMs: LIMIT_MS });
  return envelope.error === null ? envelope.data : envelope.error;
};
const scansOf = (member: string) => async (): Promise<unknown> =>
  (
    await shop.ask(member, `SELECT pg_stat_get_numscans(to_regclass('"By customer"'))::int`)
  )[0]?.[0];

test("what only a standby scans stays: all members are asked, and what was not asked is told", async () => {
  await until(scansOf("pg2"), (scans) => scans === 0);
  await shop.ask("pg2", `SELECT total FROM "Orders" WHERE customer = 77`);
  await until(scansOf("pg2"), (scans) => scans === 1);
  for (const which of [[], ["--members", "pg2,pg3"]])
    expect(await list('"By customer"', ...which)).toMatchObject({
      standbys: 2,
      not_asked: 0,
      indexes: [{ scans: 0 }],
      members: [
        { member: "pg2", scans: [{ name: '"By customer"', scans: 1 }] },
        { member: "pg3", scans: [{ name: '"By customer"', scans: 0 }] },
      ],
      verdict: expect.stringMatching(/^keep, unless you know what scans it/),
    });
  // The primary itself and a name that is said twice are no further standbys.
  for (const members of ["pg1,pg2", "pg2,pg2"])
    expect(await list("by_total", "--members", members)).toMatchObject({
      not_asked: 1,
      verdict: expect.stringMatching(/^may go, when no standby uses it/),
    });
  const free = await list("by_total", "--members", "pg2,pg3");
  expect(free.verdict).toStartWith("may go: nothing has scanned it");
});

test("unused are those that no member asked has scanned; one that is no member is told", async () => {
  const names = async (...more: string[]): Promise<string[]> =>
    (await list("--unused", ...more)).indexes.map((one: any) => one.name).sort();
  expect(await names("--members", "pg3")).toEqual(['"By customer"', "by_total"]);
  for (const which of [[], ["--members", "pg2"]])
    expect(await names(...which)).toEqual(["by_total"]);
  expect(await list("--members", "pg9")).toMatchObject({
    code: "invalid_param",
    hint: "Its members are pg1, pg2, pg3; did you mean pg1?",
  });
});

const placeOf = async (node: string) =>
  (await (await shop.nodes()).list()).find((one) => one.node === node)!.reach!;

test("a subscriber is no standby", async () => {
  const { host, port } = await placeOf("pg1");
  await shop.ask("pg1", `CREATE PUBLICATION all_of_it FOR TABLE "Orders"`);
  await shop.ask("pg1", "SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')");
  await shop.ask("pg1", "CREATE DATABASE subscriber");
  const there = (sql: string) => shop.ask("pg1", sql, undefined, "subscriber");
  await there(`CREATE TABLE "Orders" (id int PRIMARY KEY, customer int, total int)`);
  const from = `host=${host} port=${port} user=postgres dbname=postgres password=${shop.secret("superuser")}`;
  await there(
    `CREATE SUBSCRIPTION subscriber CONNECTION '${from}' PUBLICATION all_of_it
     WITH (create_slot = false, copy_data = false, slot_name = 'subscriber')`,
  );
  await until(
    () => shop.streaming("pg1"),
    (names) => names.includes("subscriber"),
  );
  expect(await list("by_total")).toMatchObject({ standbys: 2, not_asked: 0 });
});

test("a member that is down is told as not asked, and keeps nobody from the answer", async () => {
  const nodes = await shop.nodes();
  await nodes.stop("pg3", "immediate");
  await until(
    () => shop.streaming("pg1"),
    (names) => !names.includes("pg3"),
  );
  const there = await list("by_total");
  expect(there).toMatchObject({ standbys: 1, not_asked: 1, members: [{ member: "pg2" }] });
  expect(there.verdict).toStartWith("may go, when no standby uses it");
  await nodes.start("pg3");
});

test("a standby leaves the verdict to its primary", async () => {
  const { host, port } = await placeOf("pg2");
  const at = ["--host", host, "--port", String(port), "--user", "postgres"];
  const { envelope } = await cli(["index", "list", "by_total", ...at, "--quiet"], shop.place, {
    limitMs: LIMIT_MS,
    env: { PGDBA_PG_PASSWORD: shop.secret("superuser") },
  });
  expect(envelope.data).toMatchObject({
    standbys: 0,
    verdict: expect.stringMatching(/^unsure: this server is a standby/),
  });
});
