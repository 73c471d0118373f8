import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("an invalid index of a foreign key on PostgreSQL %d", (version) => {
  let server: Planted;
  beforeAll(async () => {
    server = await planted(version);
    const dba = await server.session("dba");
    await dba.query(`CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);
      CREATE TABLE c (p int REFERENCES p, n int); INSERT INTO c SELECT 1, g FROM generate_series(1, 12000) g; CREATE INDEX c_p ON c (p, n);
      UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'c_p'::regclass; ANALYZE c`);
  });
  afterAll(() => server.stop());

  test("is the cause of the foreign key without one, so that no second index is advised", async () => {
    const look = ["health", "check", "--only", "index-invalid,fk-without-index"];
    const { findings } = (await server.run(look)).envelope.data;
    expect(findings).toMatchObject([
      { check: "index-invalid", consequences: [{ check: "fk-without-index" }] },
    ]);
    const { envelope } = await server.run(["maintenance", "reindex", "c_p"]);
    expect(envelope.success).toBe(true);
    expect((await server.run(look)).envelope.data.findings).toEqual([]);
  }, 300_000);
});
