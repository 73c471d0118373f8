import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("a bloated table of PostgreSQL %d without pg_repack", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version, { autovacuum: "off" });
    dba = await server.session("dba");
    await dba.query(`CREATE TABLE "Jobs" (n int PRIMARY KEY, t text); INSERT INTO "Jobs" SELECT g, repeat('x', 500) FROM generate_series(1, 30000) g;
      DELETE FROM "Jobs" WHERE n > 300`);
    await dba.query('VACUUM (TRUNCATE off, ANALYZE) "Jobs"');
  });
  afterAll(() => server.stop());

  test("is found, and written anew; a lock that is not had leaves it alone", async () => {
    const look = ["health", "check", "--only", "bloat-table"];
    const [finding] = (await server.run(look)).envelope.data.findings;
    expect(finding.remedy).toMatchObject({
      text: expect.stringContaining("pgdba maintenance vacuum-full"),
      runbook: "maintenance/vacuum-full",
      params: { table: 'public."Jobs"' },
    });
    const full = ["maintenance", "vacuum-full", '"Jobs"'];
    expect((await server.run(full)).exit).toBe(4);
    const other = await server.session("other");
    await other.query('BEGIN; LOCK TABLE "Jobs" IN ACCESS SHARE MODE');
    const locked = (await server.run([...full, "--yes", "--lock-timeout", "200ms"])).envelope;
    await other.query("ROLLBACK");
    expect(locked.error.data.sqlstate).toBe("55P03");
    expect(
      (await server.run([...full, "--yes", "--max-size", "1MB"])).envelope.error.hint,
    ).toContain("repack");
    const catalogue = ["maintenance", "vacuum-full", "pg_class", "--yes"];
    expect((await server.run(catalogue)).envelope.error.message).toContain("belongs to PostgreSQL");
    await dba.query("CREATE ROLE guest LOGIN PASSWORD 'g'");
    const guest = await server.run([...full, "--yes", "--user", "guest"], {
      PGDBA_PG_PASSWORD: "g",
    });
    expect(guest.envelope.error.message).toContain("was not written anew");
    const { data } = (await server.run([...full, "--yes"])).envelope;
    // Of a bare server nobody sees the disk.
    expect(data.run.warnings[0].message ?? data.run.warnings[0]).toContain(
      "can't be seen from here",
    );
    expect(data.bytes_before).toBeGreaterThan(10_000_000);
    expect(data.bytes_after).toBeLessThan(1_000_000);
    expect((await server.run(look)).envelope.data.findings).toEqual([]);
  }, 300_000);
});
