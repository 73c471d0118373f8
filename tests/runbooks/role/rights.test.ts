import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";
import { clientOf } from "../../support/postgres.ts";

describe.each(VERSIONS_HERE)("what roles may do on PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  const may = async (what: string): Promise<boolean> =>
    (await dba.query(`SELECT ${what} AS ok`)).rows[0].ok;
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query(`
      CREATE ROLE readers; CREATE ROLE app LOGIN CONNECTION LIMIT 7 IN ROLE readers; CREATE ROLE owner LOGIN;
      CREATE SCHEMA billing AUTHORIZATION owner; SET ROLE owner;
      CREATE TABLE billing.accounts (id int); GRANT SELECT ON billing.accounts TO readers;
      CREATE TABLE billing."In voices" (id serial PRIMARY KEY, own int GENERATED ALWAYS AS IDENTITY);
      RESET ROLE; ALTER ROLE app SET work_mem = '8MB'`);
  });
  afterAll(() => server.stop());

  test("the list tells limits, memberships and settings", async () => {
    const { data } = (await server.run(["role", "list", "app"])).envelope;
    expect(data.roles).toMatchObject([
      {
        name: "app",
        login: true,
        superuser: false,
        connection_limit: 7,
        sessions: 0,
        member_of: ["readers"],
        settings: ["work_mem=8MB"],
      },
    ]);
  }, 300_000);

  test("row security that hides rows is told: all rows, or all but what policies allow", async () => {
    await dba.query(`CREATE SCHEMA ward; GRANT USAGE ON SCHEMA ward TO PUBLIC; CREATE ROLE bills LOGIN; CREATE ROLE "b;2" LOGIN BYPASSRLS; CREATE ROLE heir LOGIN IN ROLE bills;
      CREATE TABLE ward.patients (id int); CREATE TABLE ward.visits (id int); CREATE TABLE ward.open (id int); CREATE TABLE ward.own (id int);
      INSERT INTO ward.patients VALUES (1); GRANT SELECT ON ALL TABLES IN SCHEMA ward TO bills, "b;2"; ALTER TABLE ward.own OWNER TO bills;
      ALTER TABLE ward.patients ENABLE ROW LEVEL SECURITY; ALTER TABLE ward.visits ENABLE ROW LEVEL SECURITY; ALTER TABLE ward.own ENABLE ROW LEVEL SECURITY;
      CREATE POLICY theirs ON ward.visits TO bills USING (id > 1); CREATE POLICY ward ON ward.patients TO app USING (true);
      CREATE POLICY less ON ward.patients AS RESTRICTIVE TO bills USING (true)`);
    const seen = async (role: string) =>
      (await server.run(["role", "rights", role, "--schema", "ward"])).envelope.data;
    for (const role of ["bills", "heir"]) {
      const data = await seen(role);
      expect(data.row_security).toMatchObject([
        { table: "patients", sees: "no rows", policies: [] },
        { table: "visits", sees: "the rows that policies allow", policies: ["theirs"] },
      ]);
      expect(data.sees_no_rows).toStartWith(`${role} may read ward.patients and sees no row`);
    }
    await dba.query("SET ROLE bills");
    expect((await dba.query("SELECT FROM ward.patients")).rowCount).toBe(0);
    await dba.query("RESET ROLE; ALTER TABLE ward.own FORCE ROW LEVEL SECURITY");
    expect((await seen("bills")).row_security).toMatchObject([
      { table: "own", sees: "no rows", owner_too: true },
      { table: "patients" },
      { table: "visits" },
    ]);
    for (const role of ["b;2", server.user])
      expect(await seen(role)).toMatchObject({ row_security: [], sees_no_rows: null });
    await dba.query(`DROP SCHEMA ward CASCADE; DROP ROLE heir, bills, "b;2"`);
  }, 300_000);

  test("what a role lacks is told, given, and nothing beyond it", async () => {
    const rights = ["role", "rights", "app", "--schema", "billing"];
    const before = (await server.run(rights)).envelope.data;
    expect(before.schemas).toMatchObject([
      { usage: false, tables: 2, may_read: 1, may_write: 0, owners: ["owner"] },
    ]);
    expect(before.lacking).toEqual([
      { kind: "schema", name: "billing", lacks: "USAGE" },
      { kind: "sequence", name: "In voices_id_seq", lacks: "USAGE" },
      { kind: "table", name: "In voices", lacks: "DELETE, INSERT, SELECT, UPDATE" },
      { kind: "table", name: "accounts", lacks: "DELETE, INSERT, UPDATE" },
    ]);
    // Where no schema is named nothing was compared, which is not that nothing is lacking.
    const anywhere = (await server.run(["role", "rights", "app"])).envelope.data;
    expect(anywhere).toMatchObject({ lacking: null, lacking_count: null });
    const one = ["role", "grant", "app", "billing", "--table", "accounts"];
    expect((await server.run(one)).envelope.data.lacked).toEqual([
      { kind: "schema", name: "billing", lacks: "USAGE" },
    ]);
    expect(await may(`has_table_privilege('app', 'billing."In voices"', 'SELECT')`)).toBe(false);
    const all = ["role", "grant", "app", "billing", "--rights", "write", "--future-by", "owner"];
    await dba.query(
      "COMMENT ON TABLE billing.accounts IS 'PCI: nobody but payments may read this'",
    );
    const plan = (await server.run([...all, "--plan"])).envelope;
    expect([plan.success, plan.data.lacked_count]).toEqual([true, 3]);
    expect(plan.data.comments).toEqual([
      { table: "accounts", comment: "PCI: nobody but payments may read this" },
    ]);
    expect(await may(`has_table_privilege('app', 'billing.accounts', 'INSERT')`)).toBe(false);
    expect((await server.run(all)).envelope.data.lacked_count).toBe(3);
    await dba.query("SET ROLE owner; CREATE TABLE billing.later (id serial); RESET ROLE");
    const now = (await server.run(rights)).envelope.data;
    expect(now.lacking).toEqual([]);
    expect(now.future).toEqual([
      {
        made_by: "owner",
        schema: "billing",
        of: "sequences",
        rights: "USAGE",
        through: "itself",
      },
      {
        made_by: "owner",
        schema: "billing",
        of: "tables",
        rights: "DELETE, INSERT, SELECT, UPDATE",
        through: "itself",
      },
    ]);
    expect(await may(`has_table_privilege('app', 'billing.later', 'TRUNCATE')`)).toBe(false);
    expect((await server.run(all)).envelope.data.lacked_count).toBe(0);
  }, 300_000);

  test("each right comes with its source, and what is only through others is given to the role itself", async () => {
    await dba.query(`CREATE ROLE lodger LOGIN IN ROLE readers; CREATE SCHEMA open AUTHORIZATION owner; GRANT USAGE ON SCHEMA open TO PUBLIC; SET ROLE owner;
      CREATE TABLE open.seen (id int); GRANT SELECT ON open.seen TO PUBLIC; CREATE TABLE open.shared (id int, part int);
      GRANT SELECT ON open.shared TO readers; GRANT UPDATE (part) ON open.shared TO lodger; GRANT INSERT ON open.shared TO lodger;
      CREATE FUNCTION open.wipe(n int, t text) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT n'; RESET ROLE;
      ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA open GRANT SELECT ON TABLES TO PUBLIC`);
    const look = ["role", "rights", "lodger", "--schema", "open"];
    const { data, error } = (await server.run(look)).envelope;
    expect(error).toBe(null);
    const lines = data.held.map((one: any) =>
      [one.kind, one.rights, one.through, one.runs_as, one.names.join()].join(" | "),
    );
    expect(lines).toEqual([
      "function | EXECUTE | PUBLIC | owner | wipe(integer,text)",
      "schema | USAGE | PUBLIC |  | open",
      "table | SELECT | PUBLIC |  | seen",
      "column | UPDATE | itself |  | shared.part",
      "table | INSERT | itself |  | shared",
      "table | SELECT | member of readers |  | shared",
    ]);
    const through = { schema: "every schema", of: "functions", rights: "EXECUTE" };
    expect(data.future).toEqual([
      { ...through, made_by: "owner", through: "PUBLIC" },
      { made_by: "owner", schema: "open", of: "tables", rights: "SELECT", through: "PUBLIC" },
    ]);
    const grant = ["role", "grant", "lodger", "open"];
    const given = (await server.run(grant)).envelope;
    expect(given.error).toBe(null);
    expect(given.data).toMatchObject({
      lacked_count: 0,
      indirect: [
        { kind: "schema", name: "open", rights: "USAGE", through: "PUBLIC" },
        { kind: "table", name: "seen", rights: "SELECT", through: "PUBLIC" },
        { kind: "table", name: "shared", rights: "SELECT", through: "member of readers" },
      ],
    });
    await dba.query(
      `REVOKE ALL ON ALL TABLES IN SCHEMA open FROM PUBLIC, readers; REVOKE ALL ON SCHEMA open FROM PUBLIC`,
    );
    expect([
      await may(`has_table_privilege('lodger', 'open.seen', 'SELECT')`),
      await may(`has_table_privilege('lodger', 'open.shared', 'SELECT')`),
      await may(`has_schema_privilege('lodger', 'open', 'USAGE')`),
    ]).toEqual([true, true, true]);
    expect((await server.run(grant)).envelope.data).toMatchObject({ indirect_count: 0 });
    // A superuser and the owner need no grant; their rights have a source as well.
    const root = (await server.run(["role", "rights", "postgres", "--schema", "open"])).envelope
      .data;
    expect(root).toMatchObject({
      indirect: [],
      held: [{ kind: "everything", through: "superuser" }],
    });
    const own = (await server.run(["role", "rights", "owner", "--schema", "open"])).envelope.data;
    expect([
      own.indirect,
      own.held.every((one: any) => ["owner", "PUBLIC"].includes(one.through)),
    ]).toEqual([[], true]);
  }, 300_000);

  test("a role that is full tells whose sessions these are", async () => {
    await dba.query("ALTER ROLE app CONNECTION LIMIT 1 PASSWORD 'app'");
    const client = await clientOf({ ...server, user: "app", password: "app" });
    await client.query("SET application_name = 'shop-1.9'");
    const look = ["health", "check", "--only", "connection-limit-role"];
    const [finding] = (await server.run(look)).envelope.data.findings;
    await client.end();
    expect(finding.message).toContain(": 1 idle of app (shop-1.9)");
  }, 300_000);

  test("who may not give a right is told, where the server only warns", async () => {
    await dba.query(
      "CREATE ROLE other LOGIN PASSWORD 'other'; GRANT USAGE ON SCHEMA billing TO other WITH GRANT OPTION; CREATE ROLE poor",
    );
    const { envelope } = await server.run(
      ["role", "grant", "poor", "billing", "--table", "later"],
      { PGDBA_PG_USER: "other", PGDBA_PG_PASSWORD: "other" },
    );
    expect(envelope.success).toBe(false);
    expect(await may(`has_table_privilege('poor', 'billing.later', 'SELECT')`)).toBe(false);
    const unknown = (await server.run(["role", "grant", "app", "billing", "--future-by", "nobody"]))
      .envelope;
    expect(unknown.error.message).toContain("There is no role nobody");
  }, 300_000);
});
