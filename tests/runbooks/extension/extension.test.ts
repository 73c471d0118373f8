import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("extensions of PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query("CREATE EXTENSION hstore VERSION '1.4'; CREATE EXTENSION \"uuid-ossp\"");
  });
  afterAll(() => server.stop());

  test("an old one is found, updated by the finding's runbook, and gone", async () => {
    const look = ["health", "check", "--only", "extension-outdated"];
    const [finding] = (await server.run(look)).envelope.data.findings;
    expect(finding.remedy).toMatchObject({
      runbook: "extension/update",
      params: { extension: "hstore" },
    });
    await server.run(["extension", "update", "--plan"]);
    const listed = (await server.run(["extension", "list"])).envelope.data.extensions;
    expect(listed.map((one: any) => [one.name, one.outdated])).toEqual([
      ["hstore", true],
      ["plpgsql", false],
      ["uuid-ossp", false],
    ]);
    const { data } = (await server.run(["extension", "update", "hstore"])).envelope;
    expect(data).toMatchObject({ updated: [{ extension: "hstore", before: "1.4" }], outdated: [] });
    expect((await server.run(look)).envelope.data.findings).toEqual([]);
    expect((await server.run(["extension", "update"])).envelope.data.updated).toEqual([]);
  }, 300_000);

  test("one that can't be updated does not keep the others from it, and a plan tells what would be", async () => {
    await dba.query(`CREATE EXTENSION pg_stat_statements VERSION '1.7'; CREATE VIEW slow AS SELECT queryid FROM pg_stat_statements;
      CREATE EXTENSION pg_trgm VERSION '1.3'`);
    const plan = (await server.run(["extension", "update", "--plan"])).envelope.data;
    expect(plan.to_update.map((one: any) => [one.extension, one.before])).toEqual([
      ["pg_stat_statements", "1.7"],
      ["pg_trgm", "1.3"],
    ]);
    const { data, error } = (await server.run(["extension", "update"])).envelope;
    expect(error.message).toStartWith("pg_stat_statements 1.7 stays: cannot drop view");
    expect(data.updated).toMatchObject([{ extension: "pg_trgm", before: "1.3" }]);
    expect(data.outdated).toEqual(["pg_stat_statements"]);
  }, 300_000);

  test("one with operator classes is dropped, once nothing of a database uses it; a partition of its table is none of its parts", async () => {
    const dropped = (name: string) => server.run(["extension", "drop", name, "--yes"]);
    await dba.query("CREATE EXTENSION IF NOT EXISTS hstore; CREATE TABLE settings (v hstore)");
    expect((await dropped("hstore")).envelope.error.message).toBe(
      "hstore is needed by column v of table settings; it stays",
    );
    await dba.query(`DROP TABLE settings; CREATE TABLE logs (n int PRIMARY KEY) PARTITION BY LIST (n); ALTER EXTENSION hstore ADD TABLE logs;
      CREATE TABLE mine PARTITION OF logs DEFAULT`);
    expect((await dropped("hstore")).envelope.error.message).toBe(
      "hstore is needed by table mine; it stays",
    );
    await dba.query("DROP TABLE mine");
    expect((await dropped("hstore")).envelope.error).toBeNull();
    const { rows } = await dba.query("SELECT FROM pg_extension WHERE extname = 'hstore'");
    expect(rows).toEqual([]);
  }, 300_000);
});
