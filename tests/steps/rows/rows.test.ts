import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Planted, planted } from "../../support/planted.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { known } from "./support.ts";

/** The same rows on both sides, whatever order their columns have. */
const SCHEMA = `
  CREATE SCHEMA "Shop";
  CREATE TYPE state AS ENUM ('new', 'sent');
  CREATE TABLE customers (id int PRIMARY KEY, boss int REFERENCES customers, name text);
  INSERT INTO customers SELECT n, nullif(n / 2, 0), 'c' || n FROM generate_series(1, 1500) n;
  CREATE TABLE texts (region text, code varchar(20), n int, UNIQUE (code, region), CHECK (n > 0));
  ALTER TABLE texts ALTER region SET NOT NULL, ALTER code SET NOT NULL;
  INSERT INTO texts SELECT r, c, 1 FROM unnest('{a,B,ä,Z,_,"",😀,"﹏","NULL","a b"}'::text[]) r, unnest('{x,X,é,"x-y",xy}'::text[]) c;
  CREATE TABLE parts (id bigint, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  INSERT INTO parts SELECT n * 20000000000000001, date '2026-01-01' + n % 59, 'p' || n FROM generate_series(1, 300) n;
  CREATE TABLE secret (id int PRIMARY KEY, note text);
  CREATE TABLE bare (id int)`;

const HERE = `
  CREATE TABLE "Shop"."Orders" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Net" numeric(12,2), gross numeric GENERATED ALWAYS AS ("Net" * 2) STORED,
    at timestamptz, ratio float8, raw bytea, tags text[], doc jsonb, s state, big text)`;
const THERE = `
  CREATE TABLE "Shop"."Orders" (big text, s state, doc jsonb, tags text[], raw bytea, ratio float8, at timestamptz, gross numeric GENERATED ALWAYS AS ("Net" * 2) STORED,
    "Net" numeric(12,2), id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)`;
const ORDERS = `
  INSERT INTO "Shop"."Orders" (id, "Net", at, ratio, raw, tags, doc, s, big) OVERRIDING SYSTEM VALUE
  SELECT n, n + 0.25, timestamptz '2026-01-01 00:00Z' + n * interval '1 hour', 1.0 / n, decode(md5(n::text), 'hex'), ARRAY['a"' || n, NULL, 'NULL'],
    jsonb_build_object('n', n, 't', E'\\n"'), 'new', CASE WHEN n % 100 = 0 THEN repeat(n::text, 5000) END FROM generate_series(1, 1200) n`;

describe.each([
  [13, 18],
  [18, 13],
] as const)("rows of PostgreSQL %d and of %d", (version, second) => {
  let server: Planted;
  let other: TestServer;
  let env: Record<string, string>;
  const ask = async (sql: string) => (await (await server.session("look")).query(sql)).rows;
  const there = async (sql: string) => {
    const client = await clientOf(other);
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const run = (...words: string[]) => server.run(["rows", ...words, "--other", "second"], env);
  const compare = async (...words: string[]) => {
    const { envelope } = await run("compare", ...words);
    expect(envelope.error).toBe(null);
    return envelope.data;
  };
  const copy = (...words: string[]) => run("copy", ...words, "--yes");

  beforeAll(async () => {
    server = await planted(version as 13);
    other = await startServer({ version: second });
    env = known(server.home, "second", other);
    await ask(`${SCHEMA}; ${HERE}; ${ORDERS}`);
    await there(`${SCHEMA}; ${THERE}; ${ORDERS}`);
    await there(
      "ALTER DATABASE postgres SET timezone = 'Asia/Tokyo'; ALTER DATABASE postgres SET extra_float_digits = 0; ALTER DATABASE postgres SET bytea_output = escape",
    );
  }, 300_000);
  afterAll(async () => {
    await server?.stop();
    await other?.stop();
  });

  const ALL = ['"Shop"."Orders"', "customers", "texts", "parts"];

  test("tables with the same rows are equal, whatever the settings and the order of columns", async () => {
    const data = await compare(...ALL.flatMap((name) => ["--table", name]));
    expect(data).toMatchObject({ equal: true, against: "cluster second", replayed: null });
    expect(data.tables.map((one: any) => [one.same, one.key.join(), one.next])).toEqual([
      [1200, "id", null],
      [1500, "id", null],
      [50, "code,region", null],
      [300, "id,day", null],
    ]);
  });

  test("what differs is told with its keys and columns, a value of many kB too", async () => {
    await ask(`DELETE FROM "Shop"."Orders" WHERE id IN (3, 4); INSERT INTO "Shop"."Orders" ("Net", id) OVERRIDING SYSTEM VALUE VALUES (1, 5000);
      UPDATE "Shop"."Orders" SET "Net" = 0 WHERE id = 7; UPDATE "Shop"."Orders" SET big = big || 'x', s = NULL WHERE id = 200`);
    const { equal, tables } = await compare('"Shop"."Orders"');
    expect(equal).toBe(false);
    expect(tables[0]).toMatchObject({
      same: 1196,
      only_here: 1,
      only_there: 2,
      different: 2,
      twice: 0,
      only_here_keys: [{ id: "5000" }],
      only_there_keys: [{ id: "3" }, { id: "4" }],
      different_keys: [
        { key: { id: "7" }, columns: ["Net", "gross"] },
        { key: { id: "200" }, columns: ["s", "big"] },
      ],
      next: expect.stringContaining('pgdba rows copy \'"Shop"."Orders"\' --other second'),
    });
    const some = await compare('"Shop"."Orders"', "--where", "id < 5", "--limit", "1");
    expect(some.tables[0]).toMatchObject({
      same: 2,
      only_there: 2,
      only_there_keys: [{ id: "3" }],
    });
  });

  test("a plan tells rows, columns and triggers, and changes nothing", async () => {
    await ask(`CREATE TABLE noted (id int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO noted VALUES (NEW.id); RETURN NEW; END';
      CREATE TRIGGER note AFTER INSERT ON "Shop"."Orders" FOR EACH ROW EXECUTE FUNCTION note()`);
    const { envelope } = await run("copy", '"Shop"."Orders"', "--plan");
    expect(envelope.error).toBe(null);
    const text = JSON.stringify(envelope.data);
    expect(text).toContain('"insert":2');
    expect(text).toContain('"triggers":["note: note"]');
    expect(text).not.toContain('"gross"');
    expect(await ask('SELECT count(*)::int AS n FROM "Shop"."Orders"')).toEqual([{ n: 1199 }]);
  });

  test("another number of rows changes nothing; else missing rows come back, and nothing else changes", async () => {
    const wrong = await copy('"Shop"."Orders"', "--rows", "3");
    expect(wrong.envelope.error).toMatchObject({
      code: "step_failed",
      message: expect.stringContaining("It would change 2 rows, and not 3"),
    });
    expect(await ask("SELECT FROM noted")).toEqual([]);
    expect((await run("copy", '"Shop"."Orders"')).exit).toBe(4);
    const { envelope } = await copy('"Shop"."Orders"', "--rows", "2");
    expect(envelope.data).toMatchObject({
      inserted: 2,
      overwritten: 0,
      inserted_keys: [{ id: "3" }, { id: "4" }],
      befores: [],
    });
    expect(await ask("SELECT id FROM noted ORDER BY id")).toEqual([{ id: 3 }, { id: 4 }]);
    const { tables } = await compare('"Shop"."Orders"');
    expect(tables[0]).toMatchObject({ only_there: 0, only_here: 1, different: 2, next: null });
  });

  test("rows that differ are overwritten where that is asked for, and what they were is shown", async () => {
    const { envelope } = await copy('"Shop"."Orders"', "--different", "--limit", "1");
    expect(envelope.data).toMatchObject({
      inserted: 0,
      overwritten: 2,
      befores: [{ key: { id: "7" }, was: { Net: "0.00" }, is: { Net: "7.25" } }],
    });
    expect(JSON.stringify(envelope.data.run.warnings)).toContain("Only 1 of the 2 rows");
    const { tables } = await compare('"Shop"."Orders"');
    expect(tables[0]).toMatchObject({ same: 1200, only_here: 1, different: 0 });
  });

  test("rows that reference each other come back together, and those without their parent don't", async () => {
    await ask("DELETE FROM customers WHERE id BETWEEN 50 AND 1500");
    const alone = await copy("customers", "--where", "id >= 100");
    expect(alone.envelope.error).toMatchObject({
      code: "query_failed",
      data: { sqlstate: "23503" },
    });
    const { envelope } = await copy("customers", "--rows", "1451");
    expect(envelope.data).toMatchObject({ inserted: 1451 });
    expect((await compare("customers")).equal).toBe(true);
  });

  test("partitions, and keys of text", async () => {
    await ask("DELETE FROM parts WHERE id % 3 = 0; DELETE FROM texts WHERE n = 1 AND code <> 'x'");
    for (const table of ["parts", "texts"]) {
      expect((await copy(table)).envelope.error).toBe(null);
      expect((await compare(table)).equal).toBe(true);
    }
  });

  test("a key that is there twice is told, and nothing is copied", async () => {
    await ask(`CREATE TABLE twins (id int PRIMARY KEY, note text); INSERT INTO twins VALUES (1, 'a');
      UPDATE pg_index SET indisready = false, indislive = false WHERE indexrelid = 'twins_pkey'::regclass`);
    // In a session that has not seen the index yet.
    await ask(
      `INSERT INTO twins VALUES (1, 'b'); UPDATE pg_index SET indisready = true, indislive = true WHERE indexrelid = 'twins_pkey'::regclass`,
    );
    await there(
      "CREATE TABLE twins (id int PRIMARY KEY, note text); INSERT INTO twins VALUES (1, 'a'), (2, 'c')",
    );
    const { tables } = await compare("twins");
    expect(tables[0]).toMatchObject({ twice: 1, twice_keys: [{ side: "here", key: { id: "1" } }] });
    expect((await copy("twins")).envelope.error.code).toBe("step_refused");
  });

  test("a trigger that keeps rows out fails it, and nothing is changed", async () => {
    await ask(`CREATE TABLE picky (id int PRIMARY KEY); CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN NEW.id % 2 = 1 THEN NEW END; END';
      CREATE TRIGGER odd BEFORE INSERT ON picky FOR EACH ROW EXECUTE FUNCTION odd()`);
    await there("CREATE TABLE picky (id int PRIMARY KEY); INSERT INTO picky VALUES (1), (2)");
    const { envelope } = await copy("picky");
    expect(envelope.error.message).toContain("1 of 2 rows were inserted");
    expect(await ask("SELECT FROM picky")).toEqual([]);
  });

  test("what looks like a password is masked in keys", async () => {
    await ask("CREATE TABLE urls (url text PRIMARY KEY)");
    await there(
      "CREATE TABLE urls (url text PRIMARY KEY); INSERT INTO urls VALUES ('postgres://u:geheim@h/d')",
    );
    const { tables } = await compare("urls");
    expect(JSON.stringify(tables)).not.toContain("geheim");
    expect(tables[0].only_there).toBe(1);
  });

  test("a table is the same one on both sides, whatever the search_path leads to there", async () => {
    const table = "CREATE TABLE mine (id int PRIMARY KEY); INSERT INTO mine VALUES (1)";
    await ask(table);
    // "$user" of the search_path.
    await there(
      `${table}; CREATE SCHEMA postgres; CREATE TABLE postgres.mine (id int PRIMARY KEY)`,
    );
    const { tables } = await compare("mine");
    await there("DROP SCHEMA postgres CASCADE");
    expect(tables[0]).toMatchObject({ table: "public.mine", equal: true, same: 1 });
  });

  test("the side that waits for the other is not ended for it", async () => {
    const limit = (value: string) =>
      ask(`ALTER DATABASE postgres SET idle_in_transaction_session_timeout = '${value}'`);
    await limit("300ms");
    const holder = await clientOf(other);
    await holder.query("BEGIN; LOCK TABLE customers");
    const compared = compare("customers");
    const waits = "SELECT FROM pg_locks WHERE NOT granted";
    while ((await holder.query(waits)).rowCount === 0) await Bun.sleep(50);
    await Bun.sleep(1_500);
    await holder.query("COMMIT");
    await holder.end();
    const { tables } = await compared.finally(() => limit("0"));
    expect(tables[0].table).toBe("public.customers");
  });

  test("columns that only one side has: compared without, and not copied", async () => {
    await ask("CREATE TABLE odd (id int PRIMARY KEY, mine int)");
    await there("CREATE TABLE odd (yours int, id int PRIMARY KEY); INSERT INTO odd VALUES (1, 1)");
    const { tables } = await compare("odd");
    expect(tables[0]).toMatchObject({
      columns_only_here: ["mine"],
      columns_only_there: ["yours"],
      only_there: 1,
    });
    const { envelope } = await copy("odd");
    expect(envelope.error).toMatchObject({
      code: "step_refused",
      message: expect.stringMatching(/the target has no yours; the second server has no mine/),
    });
  });

  test.each([
    [["bare"], "unsupported", "no primary key on both sides"],
    [["nowhere"], "invalid_param", "no table nowhere on the target"],
    [["customers", "--where", "true) UNION SELECT (1"], "step_refused", "--where"],
    [["customers", "--where", "true -- "], null, ""],
    [["customers", "--where", "pg_cancel_backend(1)"], "step_refused", "pg_cancel_backend"],
    [["customers", "--where", "EXISTS (SELECT FROM pg_authid)"], "step_refused", "passwords"],
  ])("%j: %s", async (words, code, message) => {
    const { envelope } = await run("compare", ...(words as string[]));
    expect(envelope.error?.code ?? null).toBe(code);
    expect(envelope.error?.message ?? "").toContain(message);
  });

  test("rows that row security hides are not compared, nor is a server with itself", async () => {
    await ask(
      `ALTER TABLE secret ENABLE ROW LEVEL SECURITY; CREATE ROLE clerk LOGIN PASSWORD 'clerk'; GRANT SELECT ON secret TO clerk`,
    );
    const as = { ...env, PGDBA_PG_USER: "clerk", PGDBA_PG_PASSWORD: "clerk" };
    const words = ["rows", "compare", "secret"];
    const hidden = await server.run([...words, "--other", "second"], as);
    expect(hidden.envelope.error).toMatchObject({
      code: "insufficient_privilege",
      message: expect.stringContaining("Row security"),
    });
    const self = { ...env, ...known(server.home, "self", server) };
    const same = await server.run([...words, "--other", "self"], self);
    expect(same.envelope.error).toMatchObject({
      code: "invalid_param",
      message: expect.stringContaining("itself"),
    });
    expect((await server.run(words)).envelope.error.code).toBe("invalid_param");
  });
});
