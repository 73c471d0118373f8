/** How a table is read by its index alone, and without what inherits from it. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openSession, type PgSession } from "../../../providers/postgres/session.ts";
import { readTable, tableOf } from "../../../steps/chaos/damage/table.ts";
import { dropTables, makeTables } from "../../../steps/chaos/load/sql.ts";
import { startServer, type TestServer } from "../../support/postgres.ts";

setDefaultTimeout(300_000);
const close: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const one of close.toReversed()) await one();
});
const { signal } = new AbortController();

async function sessionOf({ host, port, user, password, database }: TestServer): Promise<PgSession> {
  const pg = await openSession({
    host,
    port,
    user,
    database,
    password: () => password,
    sslmode: "disable",
    application_name: "table",
  });
  close.push(() => pg.close());
  return pg;
}

for (const version of [13, 18] as const)
  describe(`PostgreSQL ${version}`, () => {
    const begun = (async () => {
      const server = await startServer({ version, settings: { wal_level: "logical" } });
      close.push(() => server.stop());
      return sessionOf(server);
    })();

    test("an index of another order than its columns' is read by it, one whose order can't be asked for is none", async () => {
      const pg = await begun;
      for (const sql of [
        `CREATE TABLE "Odd ""one" ("Desc" int, b text, c text COLLATE "C")`,
        `INSERT INTO "Odd ""one" SELECT nullif(n % 50, 0), n::text, n::text FROM generate_series(1, 5000) n`,
        `CREATE INDEX a_pattern ON "Odd ""one" (b text_pattern_ops)`,
        `CREATE INDEX b_collated ON "Odd ""one" (b COLLATE "C")`,
        `CREATE INDEX c_partly ON "Odd ""one" (b) WHERE "Desc" = 1`,
        `CREATE INDEX d_mixed ON "Odd ""one" ("Desc" DESC NULLS LAST, b NULLS FIRST, c DESC) INCLUDE (b)`,
      ])
        await pg.query(sql);
      const table = await tableOf(pg, `"Odd ""one"`, signal);
      expect(table.name).toBe(`public."Odd ""one"`);
      expect(table.index).toMatchObject({
        name: "public.d_mixed",
        keys: `"Desc" DESC NULLS LAST, b NULLS FIRST, c DESC`,
      });
      await pg.query("VACUUM ANALYZE", [], { alone: true });
      await pg.query("SET enable_seqscan = off");
      await pg.query("SET enable_sort = off");
      const plan = await pg.query(
        `EXPLAIN SELECT pgdba_row FROM ONLY ${table.name} AS pgdba_row ORDER BY ${table.index!.keys}`,
      );
      const [first] = plan.rows;
      expect(String(first!["QUERY PLAN"])).toContain("Index Scan using d_mixed");
      const [bySeqscan, byIndex] = [
        await readTable(pg, table, "seqscan", signal),
        await readTable(pg, table, "index read", signal),
      ];
      expect(bySeqscan).toMatchObject({ rows: 5000, error: null });
      expect(byIndex).toEqual(bySeqscan);
    });

    test("what inherits from a table has files of its own, and is not read with it; of a partitioned one all is", async () => {
      const pg = await begun;
      for (const sql of [
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child () INHERITS (parent)",
        "INSERT INTO parent SELECT generate_series(1, 10)",
        "INSERT INTO child SELECT generate_series(1, 100)",
        "CREATE TABLE whole (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (100)",
        "INSERT INTO whole SELECT generate_series(1, 7)",
      ])
        await pg.query(sql);
      const rows = async (name: string) =>
        (await readTable(pg, await tableOf(pg, name, signal), "seqscan", signal)).rows;
      expect([await rows("parent"), await rows("child"), await rows("whole")]).toEqual([
        10, 100, 7,
      ]);
    });

    test("where subscribers get all tables, a drill makes none", async () => {
      const pg = await begun;
      const schemas = async () =>
        (await pg.ask("SELECT 1 FROM pg_namespace WHERE nspname = 'pgdba_chaos'")).rows.length;
      await pg.query("CREATE PUBLICATION everything FOR ALL TABLES");
      await makeTables(pg, 4);
      expect(await schemas()).toBe(1);
      expect(await dropTables(pg)).toBe(true);
      await pg.query("SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')");
      await expect(makeTables(pg, 4)).rejects.toMatchObject({
        code: "step_refused",
        nothingDone: true,
        message: expect.stringContaining("publication everything publishes all tables"),
      });
      expect(await schemas()).toBe(0);
      await pg.query("DROP PUBLICATION everything");
      await makeTables(pg, 4);
      expect(await dropTables(pg)).toBe(true);
      await pg.query("SELECT pg_drop_replication_slot('subscriber')");
    });
  });
