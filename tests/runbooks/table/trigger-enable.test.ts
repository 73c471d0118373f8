import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("disabled triggers of PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query(`
      CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int CONSTRAINT c_p REFERENCES p);
      CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER "Audit" AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f();
      ALTER TABLE c DISABLE TRIGGER ALL; ALTER TABLE p DISABLE TRIGGER "Audit";
      COMMENT ON TRIGGER "Audit" ON p IS 'Off during the import, Ann'`);
  });
  afterAll(() => server.stop());
  const disabled = async (): Promise<number> =>
    (await dba.query("SELECT count(*)::int AS n FROM pg_trigger WHERE tgenabled = 'D'")).rows[0].n;

  test("without a trigger all are listed with their comments, and none is enabled", async () => {
    const { data } = (await server.run(["table", "trigger-enable"])).envelope;
    expect(data).toMatchObject({
      disabled: [
        { table: "c", constraint: "c_p", comment: null },
        { table: "c", constraint: "c_p", comment: null },
        { table: "p", trigger: "Audit", comment: "Off during the import, Ann" },
      ],
      enabled: [],
      foreign_keys: [],
      left: 3,
    });
    expect(await disabled()).toBe(3);
  }, 300_000);

  test("a lock that is not had leaves all as it was; then all are enabled, and the foreign key is told", async () => {
    const other = await server.session("other");
    await other.query("BEGIN; LOCK TABLE p");
    const locked = (
      await server.run(["table", "trigger-enable", "p", "Audit", "--lock-timeout", "200ms"])
    ).envelope;
    await other.query("ROLLBACK");
    expect([locked.success, await disabled()]).toEqual([false, 3]);
    const look = ["health", "check", "--only", "trigger-disabled"];
    const findings = (await server.run(look)).envelope.data.findings;
    // One that may be off on purpose is left to whoever has read its comment.
    expect(findings.map((one: any) => one.remedy.runbook)).toEqual([
      "table/trigger-enable",
      "table/trigger-enable",
      null,
    ]);
    expect(findings.map((one: any) => one.message).join()).toContain(
      "its comment: Off during the import, Ann",
    );
    const one = (await server.run(["table", "trigger-enable", "p", "Audit"])).envelope.data;
    expect(one).toMatchObject({
      enabled: [{ table: "p", trigger: "Audit" }],
      foreign_keys: [],
      left: 0,
    });
    const { data } = (await server.run(["table", "trigger-enable", "c", "c_p"])).envelope;
    expect(data).toMatchObject({
      enabled: [{ table: "c" }, { table: "c" }],
      foreign_keys: ["c.c_p"],
      left: 0,
    });
    expect(await disabled()).toBe(0);
    expect((await server.run(look)).envelope.data.findings).toEqual([]);
  }, 300_000);
});
