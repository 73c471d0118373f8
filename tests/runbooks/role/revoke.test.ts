import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { write } from "../../e2e/support.ts";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("rights are taken on PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  const may = async (what: string): Promise<boolean> =>
    (await dba.query(`SELECT ${what} AS ok`)).rows[0].ok;
  const reads = (role: string, table: string, right = "SELECT") =>
    may(`has_table_privilege('${role}', '${table}', '${right}')`);
  const revoke = (...words: string[]) => server.run(["role", "revoke", ...words, "--yes"]);
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query(`
      CREATE ROLE owner; CREATE ROLE app LOGIN; CREATE ROLE intern LOGIN; CREATE ROLE readers; CREATE ROLE viewer;
      CREATE ROLE clerk LOGIN IN ROLE readers; CREATE ROLE outside LOGIN; CREATE ROLE passer;
      CREATE SCHEMA pay AUTHORIZATION owner; GRANT USAGE ON SCHEMA pay TO app, intern, readers;
      CREATE SCHEMA views AUTHORIZATION viewer; GRANT USAGE ON SCHEMA pay TO viewer;
      SET ROLE owner;
      CREATE TABLE pay.salaries (id serial, note text); GRANT SELECT, INSERT ON pay.salaries TO PUBLIC;
      CREATE TABLE pay."Bo nus" (id int, secret text); GRANT SELECT (id) ON pay."Bo nus" TO PUBLIC; GRANT SELECT ON pay."Bo nus" TO readers;
      CREATE FUNCTION pay.raise(n int) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pay AS 'SELECT n';
      CREATE FUNCTION pay.raise(n text) RETURNS text LANGUAGE sql AS 'SELECT n';
      SET ROLE viewer; CREATE VIEW views.all_salaries AS SELECT * FROM pay.salaries; RESET ROLE;
      GRANT SELECT ON pay.salaries TO readers`);
  });
  afterAll(() => server.stop());

  test("who lives on it is told, and nothing is taken without a word about them", async () => {
    const { envelope } = await revoke("PUBLIC", "pay");
    expect(envelope.error).toMatchObject({ code: "step_refused" });
    expect(envelope.error.message).toContain("app: INSERT, SELECT on pay.salaries");
    expect(envelope.error.hint).toContain("--keep");
    expect(await reads("intern", "pay.salaries")).toBe(true);
    const plan = await server.run(["role", "revoke", "PUBLIC", "pay", "--plan"]);
    const text = JSON.stringify(plan.envelope.data);
    // The clerk reads by its membership, and lacks INSERT; who can't reach the schema lives on nothing there.
    expect(plan.envelope.error).toBe(null);
    for (const part of [
      `"role":"clerk","login":true,"sessions":0,"kind":"table","rights":"INSERT"`,
      `"role":"viewer","login":false,"sessions":0,"kind":"table","rights":"INSERT, SELECT"`,
      `"role":"app","login":true,"sessions":0,"kind":"table","rights":"SELECT","count":1,"names":["pay.\\"Bo nus\\".id"]`,
    ])
      expect(text).toContain(part);
    expect([text.includes(`"outside"`), text.includes(`"passer"`)]).toEqual([false, false]);
    expect(await reads("intern", "pay.salaries")).toBe(true);
  }, 300_000);

  test("who is to keep it has it by itself afterwards, all others no more", async () => {
    const { envelope } = await revoke("PUBLIC", "pay", "--keep", "app,viewer", "--others-lose");
    expect(envelope.error).toBe(null);
    const { revoked, granted, loses } = envelope.data;
    expect(revoked).toEqual([
      { kind: "table", rights: "SELECT", count: 1, names: [`pay."Bo nus".id`] },
      { kind: "table", rights: "INSERT, SELECT", count: 1, names: ["pay.salaries"] },
    ]);
    expect(granted.map(({ role, rights }: any) => `${role} ${rights}`)).toEqual([
      "app SELECT",
      "app INSERT, SELECT",
      "viewer SELECT",
      "viewer INSERT, SELECT",
    ]);
    expect(loses.map(({ role, rights }: any) => `${role} ${rights}`)).toEqual([
      "clerk INSERT",
      "intern INSERT, SELECT",
      "intern SELECT",
    ]);
    expect(await reads("app", "pay.salaries", "INSERT")).toBe(true);
    expect(await reads("intern", "pay.salaries")).toBe(false);
    expect(await reads("clerk", "pay.salaries")).toBe(true);
    expect(await may(`has_column_privilege('app', 'pay."Bo nus"', 'id', 'SELECT')`)).toBe(true);
    expect(await may(`has_column_privilege('app', 'pay."Bo nus"', 'secret', 'SELECT')`)).toBe(
      false,
    );
    expect(await may(`has_column_privilege('intern', 'pay."Bo nus"', 'id', 'SELECT')`)).toBe(false);
    await dba.query("SET ROLE viewer; SELECT * FROM views.all_salaries; RESET ROLE");
    // Twice is the same as once.
    expect((await revoke("PUBLIC", "pay")).envelope.data).toMatchObject({ revoked: [], loses: [] });
  }, 300_000);

  test("all that live on it keep it, and what an extension has opened is taken only by name", async () => {
    await dba.query(`CREATE SCHEMA ext; GRANT USAGE ON SCHEMA ext TO app, intern; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION pg_buffercache SCHEMA ext;
      CREATE TABLE ext.own (id int); GRANT SELECT ON ext.own, ext.pg_buffercache TO PUBLIC;
      CREATE FUNCTION ext.own() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    const { envelope } = await revoke("PUBLIC", "ext", "--on", "tables,functions", "--keep", "*");
    expect(envelope.error).toBe(null);
    const { revoked, granted, loses } = envelope.data;
    expect(revoked.map(({ names }: any) => names)).toEqual([["ext.own()"], ["ext.own"]]);
    // The owner has a SECURITY DEFINER function, which may use it.
    expect([...new Set(granted.map(({ role }: any) => role))]).toEqual(["app", "intern", "owner"]);
    expect(loses).toEqual([]);
    const named = await revoke("PUBLIC", "ext", "--table", "pg_buffercache", "--keep", "*");
    expect(named.envelope.data.revoked).toMatchObject([{ names: ["ext.pg_buffercache"] }]);
    expect(await reads("intern", "ext.pg_buffercache")).toBe(true);
  }, 300_000);

  test("functions, the schema, the database and what is made later", async () => {
    const one = await revoke(
      "PUBLIC",
      "pay",
      "--function",
      "raise(integer)",
      "--keep",
      "app",
      "--others-lose",
    );
    expect(one.envelope.error).toBe(null);
    const runs = (role: string, type: string) =>
      may(`has_function_privilege('${role}', 'pay.raise(${type})', 'EXECUTE')`);
    expect([
      await runs("app", "int"),
      await runs("intern", "int"),
      await runs("intern", "text"),
    ]).toEqual([true, false, true]);
    const schema = await revoke("intern", "pay", "--on", "schema");
    expect(schema.envelope.data.revoked).toEqual([
      { kind: "schema", rights: "USAGE", count: 1, names: ["pay"] },
    ]);
    const words = ["PUBLIC", "--on", "database", "--rights", "connect"];
    const refused = await revoke(...words);
    expect(refused.envelope.error.message).toContain("CONNECT on postgres");
    const database = await revoke(...words, "--keep", "app,clerk,outside", "--others-lose");
    expect(database.envelope.error).toBe(null);
    expect([
      await may(`has_database_privilege('app', 'postgres', 'CONNECT')`),
      await may(`has_database_privilege('intern', 'postgres', 'CONNECT')`),
      await may(`has_database_privilege('intern', 'postgres', 'TEMP')`),
    ]).toEqual([true, false, true]);
    await dba.query(`ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA pay GRANT SELECT ON TABLES TO PUBLIC;
      ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT UPDATE ON TABLES TO PUBLIC`);
    const later = await revoke("PUBLIC", "--on", "future", "--future-by", "owner", "--keep", "app");
    expect(
      later.envelope.data.future.map(({ schema: where, rights }: any) => `${where} ${rights}`),
    ).toEqual(["null UPDATE", "pay SELECT"]);
    const functions = await revoke("PUBLIC", "--on", "future,functions", "--future-by", "owner");
    expect(functions.envelope.data.future).toMatchObject([
      { kind: "functions", rights: "EXECUTE" },
    ]);
    await dba.query(
      `SET ROLE owner; CREATE TABLE pay.new (id int); CREATE FUNCTION pay.new() RETURNS int LANGUAGE sql AS 'SELECT 1'; RESET ROLE`,
    );
    expect([
      await reads("app", "pay.new"),
      await reads("clerk", "pay.new"),
      await may(`has_function_privilege('clerk', 'pay.new()', 'EXECUTE')`),
    ]).toEqual([true, false, false]);
  }, 300_000);

  test("a right belongs to who gave it, and what a role has beside it is told", async () => {
    await dba.query(`CREATE TABLE pay.lent (id int); ALTER TABLE pay.lent OWNER TO owner; GRANT SELECT ON pay.lent TO app WITH GRANT OPTION;
      SET ROLE app; GRANT SELECT ON pay.lent TO outside; RESET ROLE; GRANT SELECT ON pay.lent TO PUBLIC`);
    const depends = await revoke("app", "pay", "--table", "lent");
    expect(depends.envelope.error).toMatchObject({ code: "step_refused" });
    expect(await reads("app", "pay.lent", "SELECT WITH GRANT OPTION")).toBe(true);
    const { envelope } = await revoke("outside", "pay", "--table", "lent");
    expect(envelope.data.revoked).toMatchObject([{ names: ["pay.lent"] }]);
    expect(envelope.data.still).toEqual([
      { through: "PUBLIC", kind: "table", right: "SELECT", count: 1, names: ["pay.lent"] },
    ]);
    const left = `SELECT FROM pg_class, aclexplode(relacl) x WHERE relname = 'lent' AND x.grantee = 'outside'::regrole`;
    expect((await dba.query(left)).rows).toHaveLength(0);
  }, 300_000);

  test("what can't be meant, or isn't there, is refused; a failure later gives all back as it was", async () => {
    const faults: [string[], string][] = [
      [["PUBLIC"], "invalid_param"],
      [["PUBLIC", "pay", "--on", "future"], "invalid_param"],
      [["nobody", "pay"], "step_refused"],
      [["PUBLIC", "pay", "--table", "nothing"], "step_refused"],
      [["PUBLIC", "pay", "--function", "raise(bigint)"], "step_refused"],
      [["readers", "pay", "--keep", "intern"], "step_refused"],
    ];
    for (const [words, code] of faults)
      expect([words, (await revoke(...words)).envelope.error?.code]).toEqual([words, code]);
    const acls =
      "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'pay'::regnamespace ORDER BY 1";
    const before = (await dba.query(acls)).rows;
    write(server.home, {
      ".pgdba/runbooks/team/fails.yaml": `summary: x
risk: disruptive
steps:
  - role.revoke: {from: readers, schema: pay, keep: [clerk]}
  - role.revoke: {from: app, schema: pay, tables: [salaries]}
  - assert: {that: "false", message: no}
`,
    });
    const { exit } = await server.run(["run", "team/fails", "--yes"]);
    expect(exit).toBe(5);
    const sorted = (rows: any[]) =>
      rows.map(({ relname, relacl }) => [relname, relacl?.slice(1, -1).split(",").sort()]);
    expect(sorted((await dba.query(acls)).rows)).toEqual(sorted(before));
  }, 300_000);

  test("who may not take it is told, where the server only warns", async () => {
    await dba.query(
      "CREATE ROLE poor LOGIN PASSWORD 'poor' IN ROLE readers; GRANT CONNECT ON DATABASE postgres TO poor; GRANT SELECT ON pay.lent TO poor WITH GRANT OPTION",
    );
    const { envelope } = await server.run(
      ["role", "revoke", "PUBLIC", "pay", "--table", "lent", "--others-lose", "--yes"],
      {
        PGDBA_PG_USER: "poor",
        PGDBA_PG_PASSWORD: "poor",
      },
    );
    expect(envelope.success).toBe(false);
    expect(await reads("intern", "pay.lent")).toBe(true);
  }, 300_000);

  test("a cluster's own accounts keep what they need, and have nothing to do on anybody's tables", async () => {
    const [{ id }] = (
      await dba.query("SELECT system_identifier::text AS id FROM pg_control_system()")
    ).rows;
    await dba.query(`CREATE ROLE rewinder LOGIN; CREATE ROLE watcher LOGIN; GRANT CONNECT ON DATABASE postgres TO watcher, PUBLIC;
      CREATE SCHEMA own; GRANT USAGE ON SCHEMA own TO PUBLIC; CREATE TABLE own.t (id int); GRANT SELECT ON own.t TO PUBLIC`);
    write(server.home, {
      "clusters/paid.yaml": `ownership: connected
system_identifier: "${id}"
postgres: {host: ${server.host}, port: ${server.port}, user: postgres, password_secret: own}
accounts: {rewind: {user: rewinder, password: own}, monitor: {user: watcher, password: own}}
secrets: {own: {file: secrets/own}}
`,
      "secrets/own": server.password,
    });
    for (const words of [
      ["watcher", "--on", "database"],
      ["postgres", "own"],
      ["rewinder", "own"],
    ]) {
      const { envelope } = await revoke(...words);
      expect(envelope.error).toMatchObject({
        code: "step_refused",
        message: expect.stringMatching(/would lock it out$/),
      });
    }
    const database = ["PUBLIC", "--on", "database", "--rights", "connect", "--others-lose"];
    expect((await revoke(...database)).envelope.error).toMatchObject({
      code: "step_refused",
      message: expect.stringMatching(
        /^rewinder is the account `rewind` .* would lose CONNECT on postgres$/,
      ),
    });
    expect((await revoke(...database, "--keep", "rewinder")).envelope.error).toBe(null);
    expect(await may("has_database_privilege('rewinder', 'postgres', 'CONNECT')")).toBe(true);
    const tables = await revoke("PUBLIC", "own", "--keep", "*");
    const roles = new Set(tables.envelope.data.granted.map(({ role }: any) => role));
    expect([roles.has("app"), roles.has("rewinder"), roles.has("watcher")]).toEqual([
      true,
      false,
      false,
    ]);
  }, 300_000);
});
