import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Bench, bench, PLACES } from "../maintenance/support.ts";

setDefaultTimeout(300_000);

describe.each(PLACES)("kinds of constraints on PostgreSQL $name", ({ start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
  });
  afterAll(() => on?.stop());

  /** Validates what is broken, takes out the rows by the statement that is said to find them, and validates again. */
  const mends = async (table: string, constraint: string, broken: number): Promise<void> => {
    const first = await on.pgdba(["constraint", "validate", table, constraint]);
    expect([first.exit, first.envelope.error.code]).toEqual([1, "assertion_failed"]);
    const said: string = first.envelope.error.message;
    expect(said).toContain(`(${broken} rows break it`);
    // A table without a primary key has its rows by where they lie.
    expect(said).toMatch(
      table === "parent" ? /such as \[\{"ctid":"\(0,\d/ : /such as \[\{"id":"\d+"/,
    );
    const sql = /SELECT t\.\* FROM .*?(?= finds all)/.exec(said)?.[0] ?? "";
    expect(await on.rows(sql)).toHaveLength(broken);
    await on.client.query(`DELETE FROM ${table} d WHERE d.id IN (${sql.replace("t.*", "t.id")})`);
    const again = await on.pgdba(["constraint", "validate", table, constraint]);
    expect([again.envelope.error, again.envelope.data.validated]).toEqual([null, 1]);
    expect(
      await on.rows("SELECT FROM pg_constraint WHERE conname = $1 AND NOT convalidated", [
        constraint,
      ]),
    ).toEqual([]);
  };

  test("a foreign key MATCH FULL: rows with some columns null break it, those with all do not", async () => {
    await on.client.query(`
      CREATE TABLE places (a int, b int, PRIMARY KEY (a, b)); INSERT INTO places VALUES (1, 1);
      CREATE TABLE visits (id int PRIMARY KEY, a int, "B" int);
      INSERT INTO visits VALUES (1, 1, 1), (2, NULL, NULL), (3, 1, NULL), (4, NULL, 1), (5, 9, 9);
      ALTER TABLE visits ADD CONSTRAINT whole FOREIGN KEY (a, "B") REFERENCES places MATCH FULL NOT VALID`);
    await mends("visits", "whole", 3);
    expect(await on.rows("SELECT id FROM visits ORDER BY 1")).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test("a foreign key MATCH SIMPLE: rows with a null hold", async () => {
    await on.client.query(`
      CREATE TABLE stays (id int PRIMARY KEY, a int, b int);
      INSERT INTO stays VALUES (1, 1, 1), (2, NULL, 7), (3, 7, NULL), (4, 9, 9), (5, 1, 2);
      ALTER TABLE stays ADD CONSTRAINT simple FOREIGN KEY (a, b) REFERENCES places NOT VALID`);
    await mends("stays", "simple", 2);
  });

  test("a check that is null for a row holds for it; it may name functions and odd columns", async () => {
    await on.client.query(`
      CREATE TABLE notes (id int PRIMARY KEY, "t" text, "My t" text);
      INSERT INTO notes VALUES (1, 'ab', 'x'), (2, NULL, 'x'), (3, 'a', 'x'), (4, 'abc', NULL), (5, '', '');
      ALTER TABLE notes ADD CONSTRAINT long CHECK (length(t) > 1 AND "My t" <> '') NOT VALID`);
    await mends("notes", "long", 2);
  });

  test("a check of a table with children is validated in all of them; their rows are found too", async () => {
    await on.client.query(`
      CREATE TABLE parent (id int, n int); CREATE TABLE child () INHERITS (parent);
      INSERT INTO parent VALUES (1, 1); INSERT INTO child VALUES (2, -1), (3, -2), (4, 5);
      ALTER TABLE parent ADD CONSTRAINT positive CHECK (n > 0) NOT VALID`);
    await mends("parent", "positive", 2);
  });

  test("NOT NULL that is NOT VALID, which there is from 18 on", async () => {
    await on.client.query(
      `CREATE TABLE people (id int PRIMARY KEY, "Name" text); INSERT INTO people VALUES (1, 'a'), (2, NULL), (3, NULL)`,
    );
    if (on.server.version < 18) {
      const none = await on.pgdba(["constraint", "validate", "people"]);
      expect(none.envelope.data.validated).toBe(0);
      return;
    }
    await on.client.query(`ALTER TABLE people ADD CONSTRAINT named NOT NULL "Name" NOT VALID`);
    await mends("people", "named", 2);
    // One that is not enforced is nothing to validate.
    await on.client.query(`ALTER TABLE people ADD CONSTRAINT loose CHECK (id > 100) NOT ENFORCED`);
    const left = await on.pgdba(["constraint", "validate", "people"]);
    expect([left.exit, left.envelope.data.validated]).toEqual([0, 0]);
  });
});
