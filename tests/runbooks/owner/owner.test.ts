import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)(
  "who owns what, and whose rows are hidden, on PostgreSQL %d",
  (version) => {
    let server: Planted;
    let dba: Client;
    beforeAll(async () => {
      server = await planted(version);
      dba = await server.session("dba");
      await dba.query(`
      CREATE ROLE old LOGIN; CREATE ROLE "App" LOGIN; CREATE ROLE clerk; CREATE ROLE sees BYPASSRLS;
      CREATE SCHEMA "Shop"; GRANT USAGE ON SCHEMA "Shop" TO "App", clerk;
      CREATE TABLE "Shop".orders (id serial, clerk text DEFAULT current_user);
      ALTER TABLE "Shop".orders ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON "Shop".orders FOR SELECT TO clerk USING (clerk = current_user);
      CREATE TABLE "Shop".parts (a int) PARTITION BY LIST (a); CREATE TABLE "Shop".part_1 PARTITION OF "Shop".parts FOR VALUES IN (1);
      CREATE VIEW "Shop".all_orders AS SELECT * FROM "Shop".orders;
      CREATE FUNCTION "Shop".f(n int, OUT m int) SECURITY DEFINER LANGUAGE sql AS 'SELECT n';
      CREATE PROCEDURE "Shop".p() LANGUAGE sql AS '';
      CREATE TYPE "Shop".mood AS ENUM ('ok'); CREATE DOMAIN "Shop".positive AS int CHECK (VALUE > 0); CREATE SEQUENCE "Shop".alone;
      INSERT INTO "Shop".orders (clerk) VALUES ('clerk'), ('old');
      DO $$ DECLARE o text; BEGIN
        FOREACH o IN ARRAY ARRAY['TABLE "Shop".orders', 'TABLE "Shop".parts', 'TABLE "Shop".part_1', 'VIEW "Shop".all_orders', 'ROUTINE "Shop".f(int)', 'ROUTINE "Shop".p()', 'TYPE "Shop".mood', 'DOMAIN "Shop".positive', 'SEQUENCE "Shop".alone'] LOOP
          EXECUTE format('ALTER %s OWNER TO old', o); END LOOP; END $$;
      GRANT SELECT ON "Shop".orders, "Shop".parts TO "App", clerk; GRANT UPDATE (clerk) ON "Shop".orders TO "App" WITH GRANT OPTION;
      GRANT USAGE ON SEQUENCE "Shop".alone TO "App"; ALTER DEFAULT PRIVILEGES FOR ROLE old GRANT SELECT ON TABLES TO clerk`);
    });
    afterAll(() => server.stop());
    /** Of all that belongs to "Shop", with its rights. */
    const owners = async (): Promise<unknown[]> =>
      (
        await dba.query(`
        SELECT c.relname::text AS name, pg_get_userbyid(c.relowner)::text AS owner, array(SELECT a::text FROM unnest(c.relacl) a ORDER BY 1) AS acl,
          array(SELECT x.attname || pg_get_userbyid(a.grantee) || a.privilege_type || a.is_grantable FROM pg_attribute x, aclexplode(x.attacl) a WHERE x.attrelid = c.oid AND a.grantee <> c.relowner) AS columns
        FROM pg_class c WHERE c.relnamespace = '"Shop"'::regnamespace AND c.relkind <> 'i'
        UNION ALL SELECT proname, pg_get_userbyid(proowner)::text, proacl::text[], '{}' FROM pg_proc WHERE pronamespace = '"Shop"'::regnamespace
        UNION ALL SELECT typname, pg_get_userbyid(typowner)::text, typacl::text[], '{}' FROM pg_type WHERE typnamespace = '"Shop"'::regnamespace AND typtype IN ('e', 'd')
        ORDER BY 1`)
      ).rows;
    const policies = async (...words: string[]): Promise<any> => {
      const { envelope } = await server.run(["policy", "list", ...words]);
      expect(envelope.error).toBeNull();
      return envelope.data;
    };

    test("a role that sees no rows is told why, and one that sees all of them too", async () => {
      const seen = async (role: string) =>
        (await policies('"Shop".orders', "--role", role)).in_words;
      const table = '"Shop".orders';
      expect(await seen("App")).toEqual([
        `${table}: App sees no row, because row security is on and no policy for SELECT holds for it`,
      ]);
      expect(await seen("clerk")).toEqual([
        `${table}: clerk sees only the rows that own let through`,
      ]);
      expect(await seen("old")).toEqual([`${table}: nothing is hidden from old (owner)`]);
      expect(await seen("sees")).toEqual([`${table}: nothing is hidden from sees (BYPASSRLS)`]);
      await dba.query(`CREATE SCHEMA mixed; CREATE TABLE mixed.a (n int); CREATE TABLE mixed.b (n int); ALTER TABLE mixed.a OWNER TO "App"; ALTER TABLE mixed.b OWNER TO "App";
        CREATE TABLE mixed.restored (n int); ALTER TABLE mixed.restored ENABLE ROW LEVEL SECURITY`);
      const { remedies } = await policies("--role", "App");
      expect(remedies).toMatchObject([
        { runbook: "owner/set", params: { object: ["mixed.restored"], to: "App" } },
      ]);
      const { error } = (
        await server.run(["run", "owner/set", "--object", "mixed.restored", "--to", "App"])
      ).envelope;
      expect(error).toBeNull();
      expect((await policies("--role", "App")).remedies).toEqual([]);
      await dba.query("DROP SCHEMA mixed CASCADE");
      const { tables } = await policies("--role", "App");
      expect(tables).toMatchObject([
        {
          owner: "old",
          row_security: "on",
          policies: [
            {
              name: "own",
              command: "select",
              roles: ["clerk"],
              using: "(clerk = CURRENT_USER)",
              for_role: false,
            },
          ],
          reaches: [
            { command: "select", privilege: true, rows: "none" },
            { command: "insert", privilege: false },
            { command: "update", privilege: true },
            { command: "delete", privilege: false },
          ],
        },
      ]);
      // As the server itself has it.
      for (const [role, rows] of [
        ["App", 0],
        ["clerk", 1],
        ["old", 2],
      ] as const) {
        await dba.query(`GRANT USAGE ON SCHEMA "Shop" TO old; SET ROLE "${role}"`);
        const { rowCount } = await dba.query('SELECT FROM "Shop".orders');
        await dba.query("RESET ROLE");
        expect(rowCount).toBe(rows);
      }
    }, 300_000);

    test("all of a schema changes hands or none, and a run that fails later gives all of it back with its rights", async () => {
      const before = await owners();
      const other = await server.session("other");
      await other.query('BEGIN; LOCK TABLE "Shop".part_1');
      const words = ["owner", "set", "--schema", "Shop", "--to", "App"];
      expect((await server.run([...words, "--lock-timeout", "200ms"])).exit).not.toBe(0);
      await other.query("ROLLBACK");
      expect(await owners()).toEqual(before);
      const folder = join(server.home, "runbooks/team");
      mkdirSync(folder, { recursive: true });
      writeFileSync(
        join(folder, "fails.yaml"),
        `summary: Fails after it.\nrisk: change\nsteps:\n  - run: {runbook: owner/set, params: {schema: [Shop], to: App}}\n  - assert: {that: "target.name == 'nobody'", message: It fails}\n`,
      );
      const failed = await server.run(["run", "team/fails"]);
      expect([failed.exit, failed.envelope.error.message]).toEqual([5, "It fails"]);
      expect(await owners()).toEqual(before);
      const { data, error } = (await server.run([...words, "--from", "old"])).envelope;
      expect(error).toBeNull();
      expect(data.count).toBe(9);
      expect(data.tells).toEqual([
        'TABLE "Shop".orders has row security on: old sees no longer all of its rows, but what the policies let through',
        'TABLE "Shop".orders has row security on: App sees all of its rows from then on',
        'ROUTINE "Shop".f(n integer, OUT m integer) is SECURITY DEFINER: it runs with the rights of App instead of those of old',
        "old has no rights any more on what it owned, unless it is granted some (pgdba role grant)",
        "Default privileges of old do not count for what App makes",
      ]);
      expect(new Set((await owners()).map((one: any) => one.owner))).toEqual(new Set(["App"]));
      expect((await policies('"Shop".orders', "--role", "App")).in_words[0]).toContain("(owner)");
      expect((await server.run(words)).envelope.data).toMatchObject({ count: 0, changed: [] });
    }, 300_000);

    test("named ones are found whatever they are, a partitioned table takes its partitions along, and what has no owner of its own is refused", async () => {
      const give = (to: string, ...names: string[]) =>
        server.run(["owner", "set", ...names.flatMap((one) => ["--object", one]), "--to", to]);
      const done = (
        await give("old", '"Shop".parts', '"Shop".f', '"Shop".p()', '"Shop".mood', '"Shop".alone')
      ).envelope;
      expect(done.error).toBeNull();
      expect(done.data.changed.map(({ object }: any) => object).sort()).toEqual([
        'ROUTINE "Shop".f(n integer, OUT m integer)',
        'ROUTINE "Shop".p()',
        'TABLE "Shop".alone',
        'TABLE "Shop".part_1',
        'TABLE "Shop".parts',
        'TYPE "Shop".mood',
      ]);
      expect((await give("old", '"Shop".orders_id_seq')).envelope.error.message).toContain(
        "belongs to a column",
      );
      expect((await give("old", '"Shop".nothing')).envelope.error.message).toContain(
        'there is no "Shop".nothing',
      );
      expect((await give("clerk", '"Shop".all_orders')).envelope.data.tells[0]).toBe(
        "App has no rights any more on what it owned, unless it is granted some (pgdba role grant)",
      );
      const blind = (await give("sees", '"Shop".all_orders')).envelope.data.tells;
      expect(blind).toEqual(
        expect.arrayContaining([
          'TABLE "Shop".all_orders is a view and reads as its owner: it fails until sees may read "Shop".orders',
          "sees may not use the schema Shop, where it owns something then",
        ]),
      );
    }, 300_000);
  },
);
