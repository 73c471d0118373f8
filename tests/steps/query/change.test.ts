import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("rows are changed on PostgreSQL %s", (version) => {
  let server: Planted;
  beforeAll(async () => {
    server = await planted(version);
    const dba = await server.session("dba");
    await dba.query(`CREATE ROLE clerk; CREATE TABLE customers (id int PRIMARY KEY, name text); CREATE TABLE notes (customer int REFERENCES customers DEFERRABLE, note text);
      INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 20) n; INSERT INTO notes VALUES (7, 'a, b'), (7, 'c');
      CREATE TABLE log (by_role text); CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (current_user); RETURN NEW; END';
      CREATE TABLE clerks (n int); INSERT INTO clerks VALUES (1); CREATE TRIGGER noted AFTER UPDATE ON clerks FOR EACH ROW EXECUTE FUNCTION noted();
      GRANT SELECT, UPDATE ON clerks TO clerk; GRANT INSERT ON log TO clerk`);
  }, 300_000);
  afterAll(() => server?.stop());
  const change = (...words: string[]) => server.run(["query", "change", ...words, "--yes"]);
  const ask = async (sql: string) => (await (await server.session("look")).query(sql)).rows;

  test("several statements in one transaction, a comma in the text and what RETURNING gives", async () => {
    const { envelope } = await change(
      "INSERT INTO customers VALUES (1007, 'c7, moved')",
      "--sql",
      "UPDATE notes SET customer = 1007 WHERE customer = 7",
      "--sql",
      "DELETE FROM customers WHERE id = 7 RETURNING id, name",
      "--rows",
      "1,2,1",
    );
    expect(envelope).toMatchObject({
      success: true,
      data: {
        changed: [
          { command: "INSERT", rows: 1 },
          { command: "UPDATE", rows: 2 },
          { command: "DELETE", rows: 1, returned: [{ id: 7, name: "c7" }] },
        ],
      },
    });
    expect(await ask("SELECT name FROM customers WHERE id IN (7, 1007)")).toEqual([
      { name: "c7, moved" },
    ]);
  });

  test("another number of rows changes nothing, also not what came before, and says how many", async () => {
    const { exit, envelope } = await change(
      "DELETE FROM notes WHERE note = 'c'",
      "--sql",
      "UPDATE customers SET name = 'x' WHERE id < 5",
      "--rows",
      "1,1",
    );
    expect(exit).toBe(1);
    expect(envelope.error).toMatchObject({
      code: "step_failed",
      message: expect.stringContaining("It would change 4 rows, and not 1"),
    });
    expect(await ask("SELECT count(*)::int AS n FROM notes WHERE note = 'c'")).toEqual([{ n: 1 }]);
    expect(await ask("SELECT count(*)::int AS n FROM customers WHERE name = 'x'")).toEqual([
      { n: 0 },
    ]);
  });

  test("triggers act with the rights of the role that is given", async () => {
    await change("UPDATE clerks SET n = 2", "--rows", "1", "--as-role", "clerk");
    expect(await ask("SELECT by_role FROM log")).toEqual([{ by_role: "clerk" }]);
    const { envelope } = await change("DELETE FROM clerks", "--rows", "1", "--as-role", "clerk");
    expect(envelope.error.code).toBe("insufficient_privilege");
  });

  test.each([
    ["SELECT 1", "changes no rows"],
    ["DELETE FROM pg_class WHERE oid = 1", "of PostgreSQL itself"],
    ["UPDATE pg_catalog.pg_attribute SET attname = 'x' WHERE attrelid = 1", "of PostgreSQL itself"],
    [
      "WITH gone AS (DELETE FROM notes RETURNING *) INSERT INTO notes SELECT * FROM gone",
      "writes to 2 tables",
    ],
    ["TRUNCATE notes", "Only SELECT, INSERT"],
    ["COMMIT", "Only SELECT, INSERT"],
    ["COPY notes FROM PROGRAM 'id'", "Only SELECT, INSERT"],
  ])("it is refused: %s", async (sql, message) => {
    const { envelope } = await change(sql, "--rows", "0");
    expect(envelope.error).toMatchObject({
      code: "step_refused",
      message: expect.stringContaining(message),
    });
  });

  test("without a number for each, without a confirmation, and two statements in one text", async () => {
    const sql = "DELETE FROM notes";
    expect((await change(sql, "--rows", "1,2")).envelope.error.code).toBe("invalid_param");
    expect((await change(`${sql}; ${sql}`, "--rows", "1")).envelope.error.code).toBe(
      "invalid_param",
    );
    const { envelope } = await server.run(["query", "change", sql, "--rows", "2"]);
    expect(envelope.error.code).toBe("approval_needed");
    const plan = await server.run(["query", "change", sql, "--rows", "2", "--plan"]);
    expect(JSON.stringify(plan.envelope.data)).toContain(sql);
    expect(await ask("SELECT count(*)::int AS n FROM notes")).toEqual([{ n: 2 }]);
  });
});
