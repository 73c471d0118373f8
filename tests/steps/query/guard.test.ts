import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { JsonObject } from "../../../engine/types.ts";
import analyze from "../../../steps/query/analyze.ts";
import { callsIn, isReadable, wordsIn } from "../../../providers/postgres/guard/words.ts";
import type { Version } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "./support.ts";

/** The name of 63 bytes that longer ones are cut to. */
const LONG = "k".repeat(63);

/** Who acts takes a lock that outlives the transaction: one that READ ONLY does not forbid. */
const SETUP = `
  CREATE EXTENSION tablefunc; CREATE EXTENSION file_fdw; CREATE EXTENSION postgres_fdw;
  CREATE SCHEMA mal;
  CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT i, 'n' || i FROM generate_series(1, 200) i; ANALYZE items;
  CREATE SEQUENCE counter;
  CREATE FUNCTION mal.act() RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_lock(7); RETURN 1; END';
  CREATE FUNCTION mal.kill() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE VIEW mal.innocent AS SELECT id FROM items WHERE id = mal.kill();
  CREATE VIEW mal.deeper AS SELECT id FROM mal.innocent;
  CREATE FUNCTION mal.quoted() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN PERFORM '"'; RETURN mal.act(); /* " */ END$$;
  CREATE FUNCTION mal.escaped() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN RETURN mal.U&"a\\0063t"(); END$$;
  CREATE FUNCTION mal."a""ct"() RETURNS int LANGUAGE sql AS 'SELECT mal.act()';
  CREATE FUNCTION mal.doubled() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN RETURN mal."a""ct"(); END$$;
  CREATE EXTENSION citext; CREATE FUNCTION mal.member() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  ALTER EXTENSION citext ADD FUNCTION mal.member();
  CREATE FUNCTION public.field(items) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE VIEW mal.acting AS SELECT mal.act() AS n;
  CREATE FUNCTION mal.byview() RETURNS SETOF int STABLE LANGUAGE sql AS 'SELECT n FROM mal.acting';
  CREATE FUNCTION mal.${LONG}() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE FUNCTION mal.longer() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN mal.${LONG}more(); END';
  CREATE FUNCTION mal."go\u{1F600}"() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE FUNCTION mal.smiles() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN RETURN mal.go\u{1F600}(); END$$;
  CREATE FUNCTION mal.twice(int, int) RETURNS boolean VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN true; END';
  CREATE OPERATOR mal.<=|> (LEFTARG = int, RIGHTARG = int, FUNCTION = mal.twice, RESTRICT = eqsel);
  CREATE OPERATOR mal.<||> (LEFTARG = int, RIGHTARG = int, FUNCTION = mal.twice);
  CREATE FUNCTION mal.commented() RETURNS boolean STABLE LANGUAGE plpgsql AS $$BEGIN RETURN 1 OPERATOR(mal.<||>) 1; END$$;
  CREATE TABLE common (n int); INSERT INTO common SELECT i % 3 FROM generate_series(1, 900) i; ANALYZE common;
  CREATE FUNCTION mal.pf(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN $1; END';
  CREATE TABLE parted (a int) PARTITION BY RANGE (mal.pf(a)); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
  CREATE TABLE secret (a int); ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY sees ON secret USING (a = mal.act());
  CREATE TABLE folded (a int); CREATE INDEX folded_by ON folded (a) WHERE a = 1; CREATE TABLE folded_too (a int DEFAULT mal.kill());
  CREATE FUNCTION mal.plain(n int DEFAULT mal.kill()) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN n; END';
  CREATE FUNCTION mal.inlined() RETURNS int LANGUAGE sql AS 'SELECT mal.kill()';
  CREATE TYPE mood AS (m int);
  CREATE FUNCTION mal.mood_eq(mood, mood) RETURNS boolean VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN true; END';
  CREATE FUNCTION mal.mood_cmp(mood, mood) RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN 0; END';
  CREATE OPERATOR public.= (LEFTARG = mood, RIGHTARG = mood, FUNCTION = mal.mood_eq);
  CREATE OPERATOR public.< (LEFTARG = mood, RIGHTARG = mood, FUNCTION = mal.mood_eq);
  CREATE OPERATOR CLASS mal.mood_ops DEFAULT FOR TYPE mood USING btree AS OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 mal.mood_cmp(mood, mood);
  CREATE TABLE moods (m mood, n mood); INSERT INTO moods VALUES (ROW(1), ROW(1)), (ROW(2), ROW(2));
  CREATE VIEW mooded AS SELECT CASE m WHEN n THEN 1 END AS c FROM moods;
  CREATE FUNCTION mal.checks(int) RETURNS boolean VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN true; END';
  CREATE DOMAIN mal.dom AS int CHECK (mal.checks(VALUE));
  CREATE TYPE span AS RANGE (subtype = float8);
  CREATE TABLE spans (s span); INSERT INTO spans VALUES ('[1,2]');
  CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
  CREATE FOREIGN TABLE hosts (line text) SERVER files OPTIONS (filename '/etc/hostname', format 'text');
  CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'nowhere');
  CREATE USER MAPPING FOR CURRENT_USER SERVER far;
  CREATE FOREIGN TABLE remote (n int) SERVER far; CREATE FOREIGN TABLE asking (n int) SERVER far OPTIONS (use_remote_estimate 'true');
  CREATE TABLE numbered (id serial, v int); INSERT INTO numbered (v) VALUES (1);
  CREATE TABLE identified (id int GENERATED ALWAYS AS IDENTITY, v int);
  CREATE TABLE loud (v int); CREATE FUNCTION mal.noise() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN NEW; END';
  CREATE TRIGGER noise BEFORE UPDATE ON loud FOR EACH ROW EXECUTE FUNCTION mal.noise();
`;

/** Better matches than the server's own for what the guard itself asks. */
const HIJACK = `
  CREATE FUNCTION public.quote_ident(name) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN $1::text; END';
  CREATE FUNCTION public.same(oid, regclass) RETURNS boolean STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN true; END';
  CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.same);
`;

/** Refused without --analyze too: planning would act. */
const PLANNING: [why: string, sql: string][] = [
  ["mal.kill() calls mal.act()", "SELECT * FROM mal.innocent"],
  ["mal.kill() calls mal.act()", "SELECT * FROM mal.deeper"],
  ["mal.kill()", "SELECT 1 WHERE mal.kill() = 1"],
  ["mal.kill()", "UPDATE items SET name = 'x' WHERE id IN (SELECT id FROM mal.innocent)"],
  ["mal.act()", "SELECT mal.quoted()"],
  ["mal.member() calls mal.act()", "SELECT mal.member()"],
  ["field(public.items) calls mal.act()", "SELECT i.field FROM items i"],
  ["can't be read", "SELECT mal.escaped()"],
  ["can't be read", "SELECT mal.doubled()"],
  [`mal.${LONG}()`, "SELECT mal.longer()"],
  ["go\u{1F600}", "SELECT mal.smiles()"],
  ["operator <=|>", "SELECT * FROM common WHERE n OPERATOR(mal.<=|>) 1"],
  ["calls mal.", "SELECT mal.commented()"],
  ["mal.act()", "INSERT INTO parted VALUES (1)"],
  ["mal.act()", "INSERT INTO parted_1 VALUES (1)"],
  ["mal.kill()", "INSERT INTO folded_too SELECT 1"],
  ["mal.kill()", "SELECT mal.plain()"],
  ["mal.kill()", "SELECT mal.inlined()"],
  ["domain mal.dom calls mal.checks", "SELECT '{1}'::mal.dom[]"],
  ["domain mal.dom calls mal.checks", "SELECT '{1}'::mal.U&\"d\\006Fm\"[]"],
  ["table_to_xml", "SELECT table_to_xml('mal.acting', true, true, '')"],
  ["schema_to_xml", "SELECT schema_to_xml('mal', true, true, '')"],
  ["mal.mood_", "SELECT m FROM moods ORDER BY m"],
  ["estimat", "SELECT * FROM asking"],
];

/** Refused when it would be executed; planned otherwise. */
const EXECUTING: [why: string, sql: string][] = [
  ["mal.act()", "SELECT n FROM mal.acting"],
  ["mal.act()", "SELECT * FROM mal.byview()"],
  ["crosstab", "SELECT * FROM crosstab('SELECT mal.act(), 1, 1') AS c (a int, b int)"],
  [
    "connectby",
    "SELECT * FROM connectby('mal.acting', 'n', 'n', '1', 0) AS c (a int, b int, l int)",
  ],
  ["query_to_xml", "SELECT query_to_xml('SELECT mal.act()', true, true, '')"],
  ["ts_stat", "SELECT * FROM ts_stat('SELECT mal.act()::text::tsvector')"],
  ["ts_rewrite", "SELECT ts_rewrite('a', 'SELECT mal.act()::text::tsquery, ''b''::tsquery')"],
  ["foreign", "SELECT * FROM remote"],
  ["policy sees", "INSERT INTO secret VALUES (1)"],
  ["moves a sequence", "SELECT nextval('counter')"],
  ["moves a sequence", "INSERT INTO numbered VALUES (nextval('counter'), 1)"],
  ["mal.twice", "SELECT n OPERATOR(mal.<||>) 1 FROM common"],
  ["mal.twice", "SELECT 1 OPERATOR(mal.<||>) ANY (SELECT n FROM common)"],
  ["trigger noise", "UPDATE loud SET v = 1"],
];

describe.each([13, 18] as Version[])("on %d", (version) => {
  let on: Bench;
  const run = (input: JsonObject, ctx = on.ctx) => runStep(analyze, input, ctx);
  const failure = (input: JsonObject) =>
    run(input).then(
      () => ({ code: "nothing", message: "nothing" }),
      (error: { code: string; message: string }) => error,
    );
  /** What a rollback has left. */
  const acted = async () =>
    (
      await on.sql(`SELECT (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS acted, is_called AS moved FROM counter`)
    )[0];

  beforeAll(async () => {
    on = await bench(version);
    await on.sql(SETUP);
  }, 300_000);
  afterAll(async () => {
    expect(await acted()).toEqual({ acted: 0, moved: false });
    await on.close();
  });

  test("the attack does act when nobody is in its way", async () => {
    for (const sql of [
      "EXPLAIN SELECT * FROM mal.innocent",
      "SELECT mal.quoted()",
      "SELECT mal.longer()",
      "SELECT mal.smiles()",
      "EXPLAIN SELECT * FROM common WHERE n OPERATOR(mal.<=|>) 1",
      "EXPLAIN SELECT '{1}'::mal.dom[]",
      "EXPLAIN SELECT mal.plain()",
    ]) {
      await on.sql(`BEGIN READ ONLY; ${sql}; ROLLBACK`);
      expect([sql, (await acted()).acted]).toEqual([sql, 1]);
      await on.sql("SELECT pg_advisory_unlock_all()");
    }
  });

  test.each(PLANNING)("neither planned nor executed, %s: %s", async (why, sql) => {
    for (const executed of [false, true]) {
      const { code, message } = await failure({ sql, analyze: executed });
      expect(message).toContain(why);
      expect(message).toContain("planning itself would run it");
      expect(code).toBe("step_refused");
    }
    expect(await acted()).toEqual({ acted: 0, moved: false });
  });

  test.each(EXECUTING)("planned but not executed, %s: %s", async (why, sql) => {
    // Planning a table of a server that is not there needs no connection.
    expect((await run({ sql })).analyzed).toBe(false);
    const { code, message } = await failure({ sql, analyze: true });
    expect(message).toContain(why);
    expect(code).toBe("step_refused");
    expect(await acted()).toEqual({ acted: 0, moved: false });
  });

  test.each([
    "SELECT m FROM moods GROUP BY m",
    "SELECT DISTINCT m FROM moods",
    "SELECT greatest(m, n) FROM moods",
    "SELECT m FROM moods UNION SELECT n FROM moods",
    "SELECT CASE m WHEN n THEN 1 END FROM moods",
    "SELECT 1 FROM moods WHERE m IN (SELECT n FROM moods)",
    "SELECT 1 FROM moods a JOIN moods b USING (m)",
    "SELECT 1 FROM moods a NATURAL JOIN moods b",
    "SELECT nullif(m, n) FROM moods",
    "SELECT m IS DISTINCT FROM n FROM moods",
    "SELECT m BETWEEN n AND n FROM moods",
    "SELECT c FROM mooded",
  ])("operators that no plan prints: %s", async (sql) => {
    const { code, message } = await failure({ sql, analyze: true });
    expect(message).toContain("mal.mood_");
    expect(code).toBe("step_refused");
  });

  test("what is harmless runs beside all this", async () => {
    for (const sql of [
      "SELECT count(*) FROM items WHERE name = 'n1' AND id BETWEEN 1 AND 9 AND id IN (SELECT 1)",
      "SELECT CASE id WHEN 1 THEN 2 END, nullif(id, 1), greatest(id, 2) FROM items ORDER BY name",
      "SELECT s, s && '[1,3]' FROM spans",
      "SELECT span(1, 2), span(1, 2, '[]')",
      "SELECT * FROM hosts",
      "SELECT * FROM information_schema.tables",
      "SELECT * FROM pg_locks",
      "INSERT INTO items VALUES (900, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
    ])
      expect((await run({ sql, analyze: true })).analyzed).toBe(true);
    expect((await run({ sql: "SELECT * FROM items WHERE id = $1" })).generic).toBe(true);
  });

  test("nobody answers the guard's own questions in the server's stead", async () => {
    await on.sql(HIJACK);
    const { message } = await failure({ sql: "SELECT * FROM mal.innocent" });
    expect(message).toContain("calls mal.act()");
    await on.sql("DROP OPERATOR public.= (oid, regclass)");
    expect((await run({ sql: "SELECT * FROM items", analyze: true })).analyzed).toBe(true);
    expect(await acted()).toEqual({ acted: 0, moved: false });
  });

  test("only a default that is used moves a sequence", async () => {
    for (const [sql, moves] of [
      ["DELETE FROM numbered", false],
      ["UPDATE numbered SET v = 2", false],
      ["SELECT * FROM numbered", false],
      ["INSERT INTO numbered (v) VALUES (1)", true],
      ["INSERT INTO identified (v) VALUES (1)", true],
      ["UPDATE numbered SET id = DEFAULT", true],
    ] as const) {
      const ctx = on.again();
      await run({ sql, analyze: true }, ctx);
      expect([sql, ctx.recorded.warnings.join().includes("sequence")]).toEqual([sql, moves]);
    }
  });
});

test("bodies in SQL's own syntax and virtual columns are read too", async () => {
  const on = await bench(18);
  await on.sql(`CREATE FUNCTION act() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_lock(7); RETURN 1; END';
    CREATE FUNCTION atomic() RETURNS int STABLE BEGIN ATOMIC SELECT act(); END;
    CREATE FUNCTION pure(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n; END';
    CREATE TABLE t (a int, b int, s int GENERATED ALWAYS AS (CASE WHEN a IN (1, 2) THEN b END) VIRTUAL);
    CREATE TABLE checked (a int CHECK (pure(1) = a)); CREATE VIEW v AS SELECT s FROM t;
    CREATE OR REPLACE FUNCTION pure(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN act(); END'`);
  for (const sql of ["SELECT atomic()", "SELECT * FROM checked"])
    await expect(runStep(analyze, { sql }, on.ctx)).rejects.toThrow("calls public.act()");
  expect((await runStep(analyze, { sql: "SELECT * FROM v", analyze: true }, on.ctx)).analyzed).toBe(
    true,
  );
  await on.close();
}, 300_000);

describe("words of a text that somebody wrote", () => {
  test("are found whatever the quotes and signs around them", () => {
    expect(wordsIn(`'"' evil() "`).words).toContain("evil");
    expect(wordsIn(`'"' "Evil one"() `).words).toContain("Evil one");
    expect(wordsIn("AS $function$SELECT n FROM evil$function$").words).toContain("evil");
    expect(wordsIn("EVIL\u00C4()").words).toEqual(
      expect.arrayContaining(["evil\u00C4", "evil\u00E4"]),
    );
    for (const text of ["1 |+|-- x", "/**/|+|/**/1", "1|+|-1"])
      expect(wordsIn(text).operators).toContain("|+|");
  });

  test("unless names are written otherwise", () => {
    expect(isReadable('SELECT "a" || U & "b"')).toBe(true);
    expect(isReadable('SELECT u&"\\0061"()')).toBe(false);
    expect(isReadable('SELECT "a""b"()')).toBe(false);
  });
});

test("what an expression calls behind a text of megabytes is found", () => {
  const { functions, operators } = callsIn(`'${"x".repeat(2_000_000)}' || f('it''s g(1)' <-> 2)`);
  expect({ functions, operators }).toEqual({ functions: ["f"], operators: ["||", "<->"] });
});
