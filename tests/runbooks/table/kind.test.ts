import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("what tables are, on PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version, { wal_level: "logical" });
    dba = await server.session("dba");
  });
  afterAll(() => server.stop());

  test("an unlogged one is listed, a large one is refused, and one becomes an ordinary table", async () => {
    await dba.query(
      `CREATE UNLOGGED TABLE "Sess" AS SELECT g AS n FROM generate_series(1, 1000) g`,
    );
    const listed = (await server.run(["table", "logged"])).envelope.data;
    expect(listed).toMatchObject({ unlogged: [{ table: '"Sess"' }], logged: null });
    const sized = ["table", "logged", '"Sess"', "--max-size", "8kB"];
    // What nobody can read or write for longer than a moment is disruptive, as VACUUM FULL is.
    expect((await server.run(sized)).exit).toBe(4);
    const large = (await server.run([...sized, "--yes"])).envelope;
    expect([large.command, large.error.hint]).toEqual([
      "table logged-large",
      expect.stringContaining("--max-size SIZE --yes"),
    ]);
    expect((await server.run(["table", "logged", '"Sess"'])).envelope.data.logged).toBe('"Sess"');
    expect(
      (await dba.query("SELECT relpersistence AS p FROM pg_class WHERE relname = 'Sess'")).rows,
    ).toEqual([{ p: "p" }]);
    expect((await dba.query('SELECT count(*)::int AS n FROM "Sess"')).rows).toEqual([{ n: 1000 }]);
  }, 300_000);

  test("updates that logical replication refuses go on once it knows the rows", async () => {
    await dba.query(
      "CREATE TABLE t (a int NOT NULL, b int); CREATE UNIQUE INDEX t_a ON t (a); CREATE UNIQUE INDEX t_b ON t (b); INSERT INTO t VALUES (1, 1); CREATE PUBLICATION p FOR TABLE t",
    );
    const update = () =>
      dba.query("UPDATE t SET b = b + 1").then(
        () => "ok",
        (error) => error.code,
      );
    expect(await update()).toBe("55000");
    const none = (await server.run(["table", "replica-identity", "t"])).envelope;
    expect(none.error).toMatchObject({
      message: "t has no primary key",
      hint: expect.stringContaining("t_a"),
    });
    expect(
      (await server.run(["table", "replica-identity", "t", "--index", "t_b"])).envelope.success,
    ).toBe(false);
    const by = (await server.run(["table", "replica-identity", "t", "--index", "t_a"])).envelope
      .data;
    expect(by).toMatchObject({ before: "primary key", after: "index t_a" });
    expect(await update()).toBe("ok");
    const whole = (await server.run(["table", "replica-identity", "t", "--whole-row"])).envelope
      .data;
    expect(whole).toMatchObject({ before: "index t_a", after: "full" });
    expect(await update()).toBe("ok");
    // Each partition has an identity of its own.
    await dba.query(
      `CREATE TABLE "Pa rts" (n int) PARTITION BY LIST (n); CREATE TABLE part_1 PARTITION OF "Pa rts" DEFAULT; INSERT INTO part_1 VALUES (1); ALTER PUBLICATION p ADD TABLE "Pa rts"`,
    );
    const parts = () =>
      dba.query(`UPDATE "Pa rts" SET n = n + 1`).catch((error: { code: string }) => error.code);
    expect(await parts()).toBe("55000");
    await server.run(["table", "replica-identity", '"Pa rts"', "--whole-row"]);
    expect(await parts()).toMatchObject({ rowCount: 1 });
  }, 300_000);
});
