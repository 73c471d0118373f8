import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Bench, bench, PLACES } from "../maintenance/support.ts";

setDefaultTimeout(300_000);

describe.each(PLACES)("rows that are double on PostgreSQL $name", ({ start, name }) => {
  let on: Bench;
  const duplicates = async (...words: string[]): Promise<any> => {
    const { envelope } = await on.pgdba(["constraint", "duplicates", ...words]);
    expect(envelope.error).toBeNull();
    return envelope.data;
  };

  beforeAll(async () => {
    on = await bench(start);
    await on.client.query(`
      CREATE TABLE "Cust omers" (id int, "Part" int, email text, deleted boolean NOT NULL DEFAULT false, PRIMARY KEY ("Part", id));
      INSERT INTO "Cust omers" SELECT i, i % 2, 'e' || i FROM generate_series(1, 1000) i;
      INSERT INTO "Cust omers" SELECT 2000 + i, 0, 'e7' FROM generate_series(1, 8) i;
      INSERT INTO "Cust omers" VALUES (3000, 1, 'E9', false), (3001, 1, 'e9', true), (3002, 1, NULL, false), (3003, 1, NULL, false);
      CREATE TABLE bare (a int, b int); INSERT INTO bare VALUES (1, 1), (1, 2), (1, 1)`);
  });
  afterAll(() => on?.stop());

  test("the keys come with their counts and the primary keys of their rows, within bounds", async () => {
    const all = await duplicates('"Cust omers"', "--columns", "email");
    expect(all).toMatchObject({ found: 2, rows_in_the_way: 9, left_out: 0, keys: ["email"] });
    const [first, second] = all.duplicates;
    expect(first).toMatchObject({ key: { email: "e7" }, count: 9 });
    expect(first.rows).toHaveLength(5);
    expect(first.rows[0]).toEqual({ Part: "0", id: "2001" });
    expect(second).toEqual({
      key: { email: "e9" },
      count: 2,
      rows: [
        { Part: "1", id: "9" },
        { Part: "1", id: "3001" },
      ],
    });
    expect(await on.rows(all.sql)).toHaveLength(2);
    const one = await duplicates(
      '"Cust omers"',
      "--columns",
      "email",
      "--limit",
      "1",
      "--rows",
      "1",
    );
    expect([one.duplicates.length, one.duplicates[0].rows.length, one.left_out]).toEqual([1, 1, 1]);
    const none = await duplicates('"Cust omers"', "--columns", "id,email");
    expect(none).toMatchObject({ found: 0, rows_in_the_way: 0, duplicates: [] });
  });

  test("a table without a primary key has its rows by where they lie", async () => {
    const { duplicates: found } = await duplicates("bare", "--columns", "a,b");
    expect(found).toEqual([
      { key: { a: "1", b: "1" }, count: 2, rows: [{ ctid: "(0,1)" }, { ctid: "(0,3)" }] },
    ]);
  });

  test("of an index its expressions, its WHERE and what it says of NULL count", async () => {
    const build = `CREATE UNIQUE INDEX CONCURRENTLY "Once" ON "Cust omers" (lower(email)) WHERE NOT deleted OR id < 0`;
    await on.client.query(build).catch(() => {});
    const found = await duplicates("--index", '"Once"');
    expect(found).toMatchObject({ found: 2, rows_in_the_way: 9, keys: ["lower(email)"] });
    expect(found.duplicates[1]).toMatchObject({
      key: { "lower(email)": "e9" },
      rows: [{ id: "9" }, { id: "3000" }],
    });
    expect(await on.rows(found.sql)).toHaveLength(2);
    if (Number(name) < 15) return;
    await on.client
      .query(`CREATE UNIQUE INDEX CONCURRENTLY nulls ON "Cust omers" (email) NULLS NOT DISTINCT`)
      .catch(() => {});
    const nulls = await duplicates("--index", "nulls");
    expect(nulls).toMatchObject({ found: 3, rows_in_the_way: 10 });
    const keys = nulls.duplicates.map(({ key, count }: any) => [key.email, count]);
    expect(keys).toContainEqual([null, 2]);
  });

  test("a unique build that fails, and the finding of one that has failed, name the command as it works", async () => {
    const create = 'CREATE UNIQUE INDEX email_once ON "Cust omers" (email)';
    const failed = await on.pgdba(["index", "create", create]);
    expect(failed.envelope.error.message).toContain("could not create unique index");
    const command = /`(pgdba constraint duplicates .*?)`/.exec(failed.envelope.error.hint)?.[1];
    expect((await on.shell(command ?? "")).envelope.data).toMatchObject({ found: 2 });
    const { envelope } = await on.pgdba(["health", "check", "--only", "index-invalid"]);
    const { remedy } = envelope.data.findings.find(({ object }: any) => object === 'public."Once"');
    expect(remedy.runbook).toBe("constraint/duplicates");
    expect((await on.shell(remedy.command)).envelope.data).toMatchObject({ found: 2 });
  });

  test("behind a unique index that is damaged all rows are found, also those that it does not have", async () => {
    const { client } = on;
    await client.query(`CREATE TABLE members (id int PRIMARY KEY, email text UNIQUE);
      INSERT INTO members SELECT i, 'm' || i FROM generate_series(1, 2000) i`);
    const hidden = async (index: string, sql: string) => {
      const set = (ready: boolean) =>
        client.query(
          `UPDATE pg_index SET indisready = ${ready} WHERE indexrelid = '${index}'::regclass`,
        );
      await set(false);
      await client.query(sql);
      await set(true);
    };
    await hidden("members_email_key", "INSERT INTO members VALUES (3001, 'm7'), (3002, 'm7')");
    await hidden("members_pkey", "INSERT INTO members VALUES (9, 'other')");
    await client.query("ANALYZE members");
    const emails = await duplicates("--index", "members_email_key");
    expect(emails).toMatchObject({ found: 1, rows_in_the_way: 2 });
    expect(emails.duplicates).toEqual([
      { key: { email: "m7" }, count: 3, rows: [{ id: "7" }, { id: "3001" }, { id: "3002" }] },
    ]);
    const ids = await duplicates("members", "--columns", "id");
    expect(ids.duplicates).toMatchObject([{ key: { id: "9" }, count: 2 }]);
    expect(ids.duplicates[0].rows.map((row: any) => Object.keys(row))).toEqual([
      ["ctid"],
      ["ctid"],
    ]);
    const lookup = "SELECT id FROM members WHERE email = 'm7'";
    const asked = async (...words: string[]) =>
      (await on.pgdba(["query", "rows", lookup, ...words])).envelope.data.rows.length;
    expect([await asked(), await asked("--without-indexes")]).toEqual([1, 3]);
  });

  test("what is not there, and what is not clear, is refused with a command", async () => {
    const said = async (...words: string[]): Promise<[string, string]> => {
      const { envelope } = await on.pgdba(["constraint", "duplicates", ...words]);
      return [envelope.error.message, envelope.error.hint];
    };
    expect((await said("bare", "--columns", "c"))[0]).toBe("bare has no column c");
    expect((await said("nothing", "--columns", "c"))[0]).toContain("no table nothing");
    expect((await said("--index", "nothing"))[0]).toContain("no index nothing");
    expect((await said("bare"))[1]).toContain("columns that must be unique");
  });
});
