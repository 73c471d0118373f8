import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

const shellWords = (command: string): string[] =>
  [...command.matchAll(/'([^']*)'|(\S+)/g)].map((one) => one[1] ?? one[2] ?? "").slice(1);

describe.each(VERSIONS_HERE)("extended statistics of PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version, { autovacuum: "off" });
    dba = await server.session("dba");
    await dba.query(`
      CREATE SCHEMA "Geo"; CREATE TABLE "Geo".places (id int, country int, "City" int, note text);
      INSERT INTO "Geo".places SELECT i, i / 2000 % 50, i / 2000 % 50, 'x' FROM generate_series(1, 100000) i;
      CREATE INDEX both_of ON "Geo".places (country, "City");
      ALTER ROLE CURRENT_USER SET max_parallel_workers_per_gather = 0`);
    await dba.query('ANALYZE "Geo".places');
  });
  afterAll(() => server.stop());
  const names = async (): Promise<string[]> =>
    (await dba.query("SELECT stxname AS name FROM pg_statistic_ext ORDER BY 1")).rows.map(
      ({ name }) => name,
    );
  const misjudged = async (
    settings: object = {},
    sql = `SELECT * FROM "Geo".places WHERE country = 7 AND "City" = 7`,
  ): Promise<any[]> => {
    const words = ["--analyze", "--settings", JSON.stringify(settings)];
    const { envelope } = await server.run(["query", "analyze", sql, ...words]);
    expect(envelope.error).toBeNull();
    return envelope.data.findings.filter(({ code }: any) => code === "misestimate");
  };

  test("a misjudged scan names the command that ends it, and it is gone", async () => {
    const scans = [
      { enable_indexscan: "off", enable_bitmapscan: "off" },
      { enable_seqscan: "off", enable_indexscan: "off" },
    ];
    const commands = (await Promise.all(scans.map((one) => misjudged(one)))).map(
      ([one]) => one?.command,
    );
    expect(commands[0]).toStartWith(
      `pgdba run statistics/create --table '"Geo".places' --columns `,
    );
    expect(commands[1]).toBe(commands[0]);
    const made = (await server.run(shellWords(commands[0]))).envelope;
    expect(made.error).toBeNull();
    expect(made.data).toMatchObject({ created: true, built: true, rows: 100_000 });
    for (const settings of scans) expect(await misjudged(settings)).toEqual([]);
    const again = (await server.run(shellWords(commands[0]))).envelope;
    expect(again.data).toMatchObject({ created: false, built: true });
    expect(await names()).toEqual(["places_country_City_stat"]);
  }, 300_000);

  test("conditions that are no part of a bitmap's index count too, and a table that is read twice is one finding", async () => {
    await dba.query(`CREATE TABLE "Geo".streets (id int, country int, city int, zip int);
      INSERT INTO "Geo".streets SELECT i, i / 2000 % 50, i / 2000 % 50, i / 2000 % 50 FROM generate_series(1, 100000) i;
      CREATE INDEX ON "Geo".streets (country, city)`);
    await dba.query('ANALYZE "Geo".streets');
    const where = (alias: string) =>
      `SELECT ${alias}.id FROM "Geo".streets ${alias} WHERE ${alias}.country = 7 AND ${alias}.city = 7 AND ${alias}.zip = 7`;
    const found = await misjudged(
      { enable_seqscan: "off", enable_indexscan: "off" },
      `${where("a")} UNION ALL ${where("b")}`,
    );
    expect(found).toHaveLength(1);
    expect(shellWords(found[0].command)).toEqual(
      expect.arrayContaining(['["country","city","zip"]']),
    );
    expect(found[0].message).toMatch(/ The same at Bitmap Index Scan/);
    await dba.query('DROP TABLE "Geo".streets');
  }, 300_000);

  test("they are listed, dropped, and made again when the run fails later", async () => {
    await dba.query(`COMMENT ON STATISTICS "Geo"."places_country_City_stat" IS 'Ann'; ALTER STATISTICS "Geo"."places_country_City_stat" SET STATISTICS 200;
      CREATE STATISTICS "Geo".later ON id, note FROM "Geo".places`);
    const listed = async () =>
      (await server.run(["statistics", "list", '"Geo".places'])).envelope.data.statistics;
    const [later, first] = await listed();
    expect(later).toMatchObject({ name: '"Geo".later', built: false });
    const known = { name: '"Geo"."places_country_City_stat"', on: 'country, "City"', built: true };
    expect(first).toMatchObject({ ...known, target: 200, comment: "Ann" });
    const folder = join(server.home, "runbooks/team");
    mkdirSync(folder, { recursive: true });
    const fails = (name: string, run: string) =>
      writeFileSync(
        join(folder, `${name}.yaml`),
        `summary: Fails after it.\nrisk: change\nsteps:\n  - run: ${run}\n  - assert: {that: "target.name == 'nobody'", message: It fails}\n`,
      );
    fails(
      "drops",
      `{runbook: statistics/drop, params: {name: '"Geo"."places_country_City_stat"'}}`,
    );
    fails(
      "makes",
      `{runbook: statistics/create, params: {table: '"Geo".places', columns: [id, country]}}`,
    );
    for (const name of ["drops", "makes"])
      expect((await server.run(["run", `team/${name}`])).exit).toBe(5);
    expect((await listed()).find((one: any) => one.name === known.name)).toMatchObject({
      ...known,
      target: 200,
      comment: "Ann",
    });
    expect(await names()).toEqual(["later", "places_country_City_stat"]);
    const dropped = (await server.run(["statistics", "drop", '"Geo".later'])).envelope;
    expect(dropped.data).toMatchObject({ dropped: true, table: '"Geo".places' });
    expect(dropped.data.definition).toContain("ON id, note");
    expect(await names()).toEqual(["places_country_City_stat"]);
  }, 300_000);

  test("a lock that is not had leaves nothing, and what is no column is told", async () => {
    const other = await server.session("other");
    await other.query('BEGIN; LOCK TABLE "Geo".places IN SHARE UPDATE EXCLUSIVE MODE');
    const make = ["statistics", "create", '"Geo".places', "--columns", "note,country"];
    const locked = (await server.run([...make, "--lock-timeout", "200ms"])).envelope;
    await other.query("ROLLBACK");
    expect([locked.success, await names()]).toEqual([false, ["places_country_City_stat"]]);
    const wrong = (await server.run([...make.slice(0, 4), "note,town"])).envelope;
    expect(wrong.error.message).toContain("has no column town");
  }, 300_000);
});
