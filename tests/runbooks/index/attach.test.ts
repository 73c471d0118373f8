import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)(
  "invalid indexes of partitioned tables of PostgreSQL %d",
  (version) => {
    let server: Planted;
    let dba: Client;
    beforeAll(async () => {
      server = await planted(version);
      dba = await server.session("dba");
      await dba.query(`
      CREATE SCHEMA "S"; SET search_path = "S", public;
      CREATE TABLE "Parts" (a int, b int) PARTITION BY RANGE (a);
      CREATE TABLE low PARTITION OF "Parts" FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (b);
      CREATE TABLE low_1 PARTITION OF low FOR VALUES FROM (0) TO (50); CREATE TABLE low_2 PARTITION OF low DEFAULT;
      CREATE TABLE high PARTITION OF "Parts" DEFAULT PARTITION BY LIST (b); CREATE TABLE high_1 PARTITION OF high DEFAULT;
      INSERT INTO "Parts" SELECT i, i FROM generate_series(0, 199) i;
      -- Nothing there but the top, one that fits on a leaf, and a part on the second level with an invalid leaf.
      CREATE UNIQUE INDEX half ON ONLY "Parts" (a, b); CREATE UNIQUE INDEX low_half ON ONLY low (a, b); ALTER INDEX half ATTACH PARTITION low_half;
      CREATE UNIQUE INDEX l1 ON low_1 (a, b); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'l1'::regclass; ALTER INDEX low_half ATTACH PARTITION l1;
      CREATE UNIQUE INDEX h1 ON high_1 (a, b)`);
    });
    afterAll(() => server.stop());
    const invalid = async (): Promise<string[]> =>
      (
        await dba.query(
          "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid ORDER BY 1",
        )
      ).rows.map(({ name }) => name);
    const look = async (): Promise<any[]> =>
      (await server.run(["health", "check", "--only", "index-invalid"])).envelope.data.findings;
    const words = (command: string): string[] =>
      [...command.matchAll(/'([^']*)'|(\S+)/g)].map((one) => one[1] ?? one[2] ?? "").slice(1);

    test("the finding's command makes one valid on all levels; a plan says what it would do", async () => {
      const [found, leaf] = (await look()).toSorted((a, b) => a.object.localeCompare(b.object));
      expect([found.remedy.runbook, leaf.remedy.runbook]).toEqual(
        expect.arrayContaining(["index/attach"]),
      );
      const command = [found, leaf].find(({ remedy }) => remedy.runbook === "index/attach").remedy
        .command;
      const plan = (await server.run([...words(command), "--plan"])).envelope;
      expect([plan.error, await invalid()]).toEqual([null, expect.arrayContaining(["half", "l1"])]);
      const { data, error } = (await server.run(words(command))).envelope;
      expect(error).toBeNull();
      expect(data).toMatchObject({ valid: true, rebuilt: ["l1"] });
      if (data.renewed === false) expect(data.attached).toContain("h1");
      expect(await invalid()).toEqual([]);
      expect(await look()).toEqual([]);
      const again = (await server.run(["index", "attach", '"S".half'])).envelope.data;
      expect(again).toMatchObject({ was_valid: true, built: [], rebuilt: [] });
    }, 300_000);

    test("one whose parts were all attached, one of them invalid", async () => {
      await dba.query(`
      CREATE INDEX other ON ONLY "Parts" (b); CREATE INDEX o1 ON ONLY low (b); CREATE INDEX o11 ON low_1 (b); CREATE INDEX o12 ON low_2 (b);
      UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'o12'::regclass;
      ALTER INDEX o1 ATTACH PARTITION o11; ALTER INDEX o1 ATTACH PARTITION o12; ALTER INDEX other ATTACH PARTITION o1;
      CREATE INDEX o2 ON high (b); ALTER INDEX other ATTACH PARTITION o2`);
      expect(await invalid()).toEqual(["o1", "o12", "other"]);
      const { error, data } = (await server.run(["index", "attach", '"S".other'])).envelope;
      // Without a name, reindex takes what it can rebuild, and leaves such a one alone.
      const due = (await server.run(["maintenance", "reindex"])).envelope;
      expect([due.error, due.data.failed]).toEqual([null, 0]);
      expect(error).toBeNull();
      // This release looks only when a part is attached for the first time: another one took its place.
      const named = `SELECT count(*)::int AS n FROM pg_index WHERE indexrelid = 'other'::regclass AND indisvalid`;
      expect((await dba.query(named)).rows).toEqual([{ n: 1 }]);
      expect((await dba.query(`SELECT to_regclass('"S".other_new') AS it`)).rows).toEqual([
        { it: null },
      ]);
      expect(data.renewed).toBe(server.version < 18);
      expect(await look()).toEqual([]);
    }, 300_000);
  },
);
