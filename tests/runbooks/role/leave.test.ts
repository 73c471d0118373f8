import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("a role that leaves another one on PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query(`CREATE ROLE "Gr;oup"; CREATE ROLE middle IN ROLE "Gr;oup"; CREATE ROLE "An na" LOGIN PASSWORD 'x' CREATEROLE; CREATE ROLE bob;
      GRANT "Gr;oup" TO "An na" WITH ADMIN OPTION; SET ROLE "An na"; GRANT "Gr;oup" TO bob; RESET ROLE`);
  });
  afterAll(() => server.stop());
  const members = async (): Promise<string[]> => {
    const { rows } = await dba.query(
      `SELECT DISTINCT member::regrole::text AS name FROM pg_auth_members WHERE roleid = '"Gr;oup"'::regrole ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  };

  test("it has the rights no more; who is a member by it alone is told before", async () => {
    const leave = ["role", "leave", "An na", "Gr;oup", "--yes"];
    const refused = (await server.run(leave)).envelope;
    // Before 16 nobody is a member by another.
    if (version >= 16) {
      expect(refused.error.message).toBe(
        "bob would leave Gr;oup with it: An na granted it to them",
      );
      expect(await members()).toEqual(['"An na"', "bob", "middle"]);
      const { envelope } = await server.run([...leave, "--others-lose"]);
      expect(envelope).toMatchObject({ error: null, data: { others: ["bob"], still: null } });
      expect(await members()).toEqual(["middle"]);
    } else {
      expect(refused).toMatchObject({ error: null, data: { was_member: true, others: [] } });
      expect(await members()).toEqual(["bob", "middle"]);
    }
    const again = (await server.run(leave)).envelope;
    expect(again).toMatchObject({ error: null, data: { was_member: false } });
  }, 300_000);

  test("what it has by another way is told", async () => {
    await dba.query(`GRANT middle TO "An na"; GRANT "Gr;oup" TO "An na"`);
    const { envelope } = await server.run(["role", "leave", "An na", "Gr;oup", "--yes"]);
    expect(envelope.error).toBeNull();
    expect(envelope.data.still).toBe("a member of another one that is in it");
    const none = (await server.run(["role", "leave", "nobody", "Gr;oup", "--yes"])).envelope;
    expect(none.error.message).toBe("There is no role nobody");
  }, 300_000);
});
