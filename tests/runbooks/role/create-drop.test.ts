import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { clientOf } from "../../support/postgres.ts";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("roles come and go on PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query("CREATE DATABASE shop");
    await dba.query("CREATE ROLE readers; CREATE ROLE heir");
  });
  afterAll(() => server.stop());
  const owner = async (table: string): Promise<string> =>
    (
      await dba.query(
        "SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relname = $1",
        [table],
      )
    ).rows[0].owner;

  test("one is made as a member of a group, and nothing is left where that fails", async () => {
    const made = (await server.run(["role", "create", "Anna B", "--member-of", "readers"]))
      .envelope;
    expect(made.data).toMatchObject({ login: true, member_of: ["readers"] });
    expect(made.data.next).toStartWith("pgdba role password 'Anna B' --host ");
    const { rows } = await dba.query(`SELECT pg_has_role('Anna B', 'readers', 'MEMBER') AS member`);
    expect(rows).toEqual([{ member: true }]);
    const failed = await server.run([
      "role",
      "create",
      "loop",
      "--member-of",
      "readers",
      "--member-of",
      "pg_database_owner",
    ]);
    expect(failed.envelope.success).toBe(false);
    expect((await dba.query("SELECT FROM pg_roles WHERE rolname = 'loop'")).rowCount).toBe(0);
  }, 300_000);

  test("one that has left is dropped, and what it owned and was given in every database is not lost", async () => {
    const shop = await server.session("shop", "shop");
    await shop.query(
      `CREATE TABLE theirs (n int); ALTER TABLE theirs OWNER TO "Anna B"; CREATE TABLE ours (n int); GRANT SELECT ON ours TO "Anna B" WITH GRANT OPTION; CREATE ROLE reader; GRANT SELECT ON theirs TO reader`,
    );
    await shop.query(
      `GRANT USAGE ON SCHEMA public TO "Anna B"; SET ROLE "Anna B"; GRANT SELECT ON ours TO reader; RESET ROLE`,
    );
    await dba.query(
      `CREATE TABLE here (n int); ALTER TABLE here OWNER TO "Anna B"; GRANT CONNECT ON DATABASE shop TO "Anna B"`,
    );
    const drop = ["role", "drop", "Anna B", "--heir", "heir", "--yes"];
    const asked = await server.run(drop);
    expect(asked.exit).toBe(4);
    expect(asked.envelope.error.message).toContain(
      "gave on in shop: table ours to reader. Its name:",
    );
    expect(asked.envelope.error.hint).toContain(
      "pgdba role drop 'Anna B' --heir heir --confirmed 'Anna B' --yes --host ",
    );
    expect(await owner("here")).toBe("Anna B");
    const plan = (await server.run([...drop, "--confirmed", "Anna B", "--plan"])).envelope;
    expect([plan.success, plan.data.owned, plan.data.databases.toSorted()]).toEqual([
      true,
      2,
      ["postgres", "shop"],
    ]);
    const { envelope } = await server.run([...drop, "--confirmed", "Anna B"]);
    expect(envelope.success).toBe(true);
    expect(await owner("here")).toBe("heir");
    expect(
      (await shop.query("SELECT tableowner FROM pg_tables WHERE tablename = 'theirs'")).rows,
    ).toEqual([{ tableowner: "heir" }]);
    expect(envelope.data.given_on).toEqual([
      { database: "shop", rights: ["table ours to reader"] },
    ]);
    const left = await shop.query(
      "SELECT has_table_privilege('reader', 'theirs', 'SELECT') AS theirs, has_table_privilege('reader', 'ours', 'SELECT') AS ours",
    );
    expect(left.rows).toEqual([{ theirs: true, ours: false }]);
    expect((await dba.query("SELECT FROM pg_roles WHERE rolname = 'Anna B'")).rowCount).toBe(0);
    const super_ = (
      await server.run([
        "role",
        "drop",
        server.user,
        "--heir",
        "heir",
        "--confirmed",
        server.user,
        "--yes",
      ])
    ).envelope;
    expect(super_.error.code).toBe("assertion_failed");
  }, 300_000);

  test("the session that is in the way is named, and no command that ends it is given", async () => {
    await dba.query("CREATE ROLE busy LOGIN PASSWORD 'b'");
    const busy = await clientOf({ ...server, user: "busy", password: "b" });
    await busy.query("SET application_name = 'batch'");
    await busy.query("SELECT 1 AS job");
    const words = ["role", "drop", "busy", "--heir", "heir", "--plan"];
    const { error } = (await server.run(words)).envelope;
    expect(error.message).toMatch(
      /^busy has 1 session: \d+ of batch in postgres since [-0-9]{10} [:0-9]{5}, idle: SELECT 1 AS job$/,
    );
    expect(error.hint).not.toContain("terminate");
    // All that is in the way, and what it has, without an heir.
    await dba.query(
      "CREATE ROLE crew; GRANT crew TO busy; CREATE TABLE mine (n int); ALTER TABLE mine OWNER TO busy; CREATE TABLE seen (n int); GRANT SELECT ON seen TO busy",
    );
    const looked = (await server.run(["role", "drop", "busy", "--plan"])).envelope;
    expect(looked.error.message).toMatch(
      /^busy has 1 session: .*; it owns 1 object, and nobody is named to get what it owns$/,
    );
    expect(looked.error.hint).toContain("--heir ROLE");
    expect(looked.data).toMatchObject({
      in_the_way: [expect.any(String), expect.any(String)],
      objects: [{ database: "postgres", objects: ["table mine"] }],
      granted: [{ database: "postgres", objects: ["table seen"] }],
      member_of: ["crew"],
      members: [],
    });
    await busy.end();
  }, 300_000);

  test("one that owns nothing is dropped without an heir", async () => {
    await dba.query(
      "CREATE ROLE spare; CREATE TABLE shown (n int); GRANT SELECT ON shown TO spare",
    );
    const words = ["role", "drop", "spare", "--confirmed", "spare", "--yes"];
    expect((await server.run(words)).envelope).toMatchObject({
      success: true,
      data: { heir: null, granted: [{ database: "postgres", objects: ["table shown"] }] },
    });
    expect((await dba.query("SELECT FROM pg_roles WHERE rolname = 'spare'")).rowCount).toBe(0);
  }, 300_000);

  test("what a role has got in another database while the question was open stops the run before anything is done", async () => {
    await dba.query(
      "CREATE ROLE late LOGIN; CREATE TABLE early (n int); ALTER TABLE early OWNER TO late",
    );
    const asked = await server.run(["role", "drop", "late", "--heir", "heir", "--yes"]);
    const shop = await server.session("shop", "shop");
    await shop.query("CREATE TABLE later (n int); ALTER TABLE later OWNER TO late");
    const { error } = (
      await server.run(["resume", asked.envelope.error.run.id, "--confirm", "late"])
    ).envelope;
    expect(error.message).toBe("late has meanwhile 0 sessions, and something in shop");
    expect(await owner("early")).toBe("late");
    const role = await dba.query(
      "SELECT rolcanlogin AS login FROM pg_roles WHERE rolname = 'late'",
    );
    expect(role.rows).toEqual([{ login: true }]);
  }, 300_000);
});
