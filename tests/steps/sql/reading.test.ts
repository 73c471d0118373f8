import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { acts, READS, runsText } from "../../../providers/postgres/guard/harmless.ts";
import execute from "../../../steps/sql/execute.ts";
import query from "../../../steps/sql/query.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";
import { sharedServer, type Version, VERSIONS } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "../query/support.ts";

/** `act` takes a lock that a rollback does not give back, and that READ ONLY does not forbid. */
const SETUP = `
  CREATE EXTENSION dblink; CREATE EXTENSION file_fdw; CREATE EXTENSION postgres_fdw; CREATE EXTENSION pgstattuple; CREATE EXTENSION pg_stat_statements;
  CREATE SCHEMA mal; CREATE SCHEMA away;
  CREATE TABLE items (id int PRIMARY KEY, name text, kind varchar); INSERT INTO items SELECT i, 'n' || i, 'k' FROM generate_series(1, 50) i;
  CREATE SEQUENCE counter;
  CREATE FUNCTION mal.act() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_lock(7); RETURN 1; END';
  CREATE FUNCTION mal.hidden() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE FUNCTION mal.dynamic() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN EXECUTE 'SELECT ma' || 'l.act()'; RETURN 1; END$$;
  CREATE FUNCTION mal.optional(n int DEFAULT mal.act()) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n';
  CREATE VIEW mal.acting AS SELECT mal.act() AS n;
  CREATE FUNCTION public.field(items) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE FUNCTION mal.twice(int, int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN true; END';
  CREATE OPERATOR mal.<||> (LEFTARG = int, RIGHTARG = int, FUNCTION = mal.twice);
  CREATE OPERATOR public.<|||> (LEFTARG = int, RIGHTARG = int, FUNCTION = mal.twice);
  CREATE FUNCTION mal.checks(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN true; END';
  CREATE DOMAIN mal.dom AS int CHECK (mal.checks(VALUE));
  CREATE TYPE mood AS ENUM ('good', 'bad');
  CREATE FUNCTION mal.mood_number(mood) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE CAST (mood AS int) WITH FUNCTION mal.mood_number(mood);
  CREATE FUNCTION mal.add(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE AGGREGATE mal.total (int) (SFUNC = mal.add, STYPE = int, INITCOND = '0');
  CREATE TABLE secret (a int); INSERT INTO secret VALUES (1); ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY sees ON secret USING (a = mal.act());
  CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
  CREATE FOREIGN TABLE hosts (line text) SERVER files OPTIONS (filename '/etc/hostname', format 'text');
  CREATE FOREIGN TABLE program (line text) SERVER files OPTIONS (program 'touch RAN; echo 1');
  CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'nowhere'); CREATE FOREIGN TABLE remote (n int) SERVER far;
  CREATE FUNCTION public.length(varchar) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN mal.act(); END';
  CREATE FUNCTION public.near(varchar) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN true; END';
  CREATE FUNCTION away.upper(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN $1; END';
  CREATE FUNCTION public.json_value(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN $1; END';
  CREATE FUNCTION public.json_value(jsonb, jsonpath) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM mal.act(); RETURN null; END';
  CREATE FUNCTION public.tidy(t text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower(trim(t))';
  CREATE FUNCTION public.counts() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM items); END';
  CREATE FUNCTION public.careless() RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE TYPE tone AS ENUM ('high', 'low'); CREATE TABLE tones (t tone);
  CREATE FUNCTION mal.tone(text) RETURNS tone LANGUAGE plpgsql AS $$BEGIN PERFORM mal.act(); RETURN 'low'; END$$;
  CREATE CAST (text AS tone) WITH FUNCTION mal.tone(text) AS IMPLICIT;
  CREATE FUNCTION mal.loud(tone) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1';
  CREATE VIEW good AS SELECT id, tidy(name) AS name FROM items;
`;

/** Refused by its text alone: `pgdba lint` finds it. */
const STATIC: [rule: string, sql: string][] = [
  ["not-a-read", "COPY (SELECT 1) TO PROGRAM 'touch RAN'"],
  ["not-a-read", "COPY items TO STDOUT"],
  ["not-a-read", "COPY items FROM PROGRAM 'echo 1'"],
  ["not-a-read", "CHECKPOINT"],
  ["not-a-read", "DO 'BEGIN PERFORM mal.act(); END'"],
  ["not-a-read", "CALL mal.anything()"],
  ["not-a-read", "SET work_mem = '1GB'"],
  ["not-a-read", "RESET ALL"],
  ["not-a-read", "PREPARE p AS SELECT mal.act()"],
  ["not-a-read", "EXECUTE p"],
  ["not-a-read", "DEALLOCATE ALL"],
  ["not-a-read", "DECLARE c CURSOR WITH HOLD FOR SELECT mal.act()"],
  ["not-a-read", "LISTEN x"],
  ["not-a-read", "NOTIFY x"],
  ["not-a-read", "VACUUM items"],
  ["not-a-read", "LOAD 'auto_explain'"],
  ["not-a-read", "DISCARD ALL"],
  ["not-a-read", "LOCK TABLE items"],
  ["not-a-read", "INSERT INTO items VALUES (99)"],
  ["not-a-read", "SELECT 1 INTO copied"],
  ["not-a-read", "CREATE TEMP TABLE t AS SELECT 1"],
  ["not-a-read", "SELECT * FROM items FOR UPDATE"],
  ["not-a-read", "SELECT (SELECT id FROM items LIMIT 1 FOR KEY SHARE)"],
  ["not-a-read", "WITH d AS (DELETE FROM items RETURNING *) SELECT * FROM d"],
  ["not-a-read", "EXPLAIN ANALYZE SELECT mal.act()"],
  ["not-a-read", "EXPLAIN (FORMAT JSON, ANALYZE) SELECT mal.act()"],
  ["not-a-read", "EXPLAIN (ANALYZE off, ANALYZE on) SELECT mal.act()"],
  ["not-a-read", "EXPLAIN ANALYZE EXECUTE p"],
  ["not-a-read", "EXPLAIN EXECUTE p"],
  ["not-a-read", "EXPLAIN CREATE TABLE t AS SELECT 1"],
  ["not-a-read", "BEGIN"],
  ["not-a-read", "COMMIT"],
  ["not-a-read", "-- SELECT\nCHECKPOINT /* SELECT 1 */"],
  ["not-one-statement", "SELECT 1; SELECT 2"],
  ["not-one-statement", "SELECT 1; COPY (SELECT 1) TO PROGRAM 'touch RAN'"],
  ["not-one-statement", "-- nothing"],
  ["not-one-statement", ";"],
  ["unreadable-sql", "\\copy items to program 'touch RAN'"],
  ["unreadable-sql", "SELECT 1 \\gexec"],
  ["unreadable-sql", "selec 1"],
  ["unreadable-sql", "SELECT 1\0"],
  ["acting-function", "SELECT pg_switch_wal()"],
  ["acting-function", "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_stat_activity"],
  ["acting-function", 'SELECT "pg_catalog"."pg_reload_conf"()'],
  ["acting-function", 'SELECT U&"pg\\005fswitch_wal"()'],
  ["acting-function", "SELECT PG_SWITCH_WAL /* ) */ ()"],
  ["acting-function", "VALUES (pg_create_restore_point('x'))"],
  ["acting-function", "SELECT * FROM pg_logical_emit_message(true, 'a', 'b')"],
  ["acting-function", "SELECT nextval('counter')"],
  ["acting-function", "SELECT setval('counter', 1)"],
  ["acting-function", "SELECT pg_advisory_lock(1)"],
  ["acting-function", "SELECT lo_export(1, '/tmp/x')"],
  ["acting-function", "SELECT pg_read_file('/etc/passwd')"],
  ["acting-function", "SELECT set_config('work_mem', '1GB', false)"],
  ["acting-function", "SELECT dblink_exec('', 'DROP TABLE items')"],
  ["acting-function", "SELECT query_to_xml('SELECT pg_switch_wal()', true, true, '')"],
  ["acting-function", "SELECT query_to_xml('CHECKPOINT ', true, true, '')"],
  ["acting-function", "SELECT pg_notify('a', 'b')"],
  ["acting-function", "SELECT pg_stat_statements_reset()"],
  ["acting-function", "WITH w AS MATERIALIZED (SELECT pg_export_snapshot()) SELECT 1"],
  ["acting-function", "SELECT 1 FROM items ORDER BY (SELECT pg_promote())"],
];

/** Only the server can tell. */
const ASKED: [why: string, sql: string][] = [
  ["mal.act()", "SELECT mal.act()"],
  ["mal.act()", 'SELECT "mal".U&"a\\0063t"()'],
  ["mal.hidden() calls mal.act()", "SELECT mal.hidden()"],
  ["runs SQL that it makes up", "SELECT mal.dynamic()"],
  ["calls mal.act()", "SELECT mal.optional()"],
  ["mal.act()", "TABLE mal.acting"],
  ["mal.act()", "SELECT count(*) FROM items WHERE EXISTS (SELECT FROM mal.acting)"],
  ["public.field(public.items)", "SELECT i.field FROM items i"],
  ["public.field(public.items)", "SELECT (i).field FROM items i"],
  ["mal.twice", "SELECT 1 OPERATOR(mal.<||>) 2"],
  ["mal.twice", "SELECT 1 <|||> 2"],
  ["mal.twice", "SELECT * FROM items ORDER BY id USING OPERATOR(mal.<||>)"],
  ["mal.checks", "SELECT 1::mal.dom"],
  ["mal.checks", "SELECT '{1}'::mal.dom[]"],
  ["mal.mood_number", "SELECT 'good'::mood::int"],
  ["mal.add", "SELECT mal.total(id) FROM items"],
  ["policy sees", "SELECT * FROM secret"],
  ["foreign", "SELECT * FROM program"],
  ["foreign", "SELECT * FROM remote"],
  ["length(character varying)", "SELECT length(kind) FROM items"],
  ["mal.hidden() calls mal.act()", "EXPLAIN SELECT 1 WHERE mal.hidden() = 1"],
  ["json_value", "SELECT json_value(name, name) FROM items"],
  ["query_to_xml", "SELECT query_to_xml('SELECT mal.act()', true, true, '')"],
  ["table_to_xml", "SELECT table_to_xml('mal.acting', true, true, '')"],
  ["mal.tone(text)", "SELECT mal.loud(name) FROM items"],
  ["mal.tone(text)", "SELECT CASE WHEN true THEN t ELSE name END FROM tones, items"],
  ["careless() is volatile", "SELECT careless()"],
  ["ts_stat", "SELECT * FROM ts_rewrite('a', 'SELECT mal.act()::text::tsquery, ''b''::tsquery')"],
];

const ALLOWED = [
  "SELECT count(*), now(), random(), clock_timestamp(), pg_current_wal_lsn() FROM pg_stat_activity",
  "SELECT pg_size_pretty(pg_database_size(current_database())), gen_random_uuid()",
  "SELECT name, setting FROM pg_settings WHERE name LIKE 'max%' ORDER BY 1;",
  "SHOW work_mem",
  "SHOW ALL",
  "VALUES (1, 'a'), (2, 'b')",
  "TABLE items",
  "EXPLAIN SELECT * FROM items",
  "EXPLAIN (FORMAT JSON, ANALYZE off) DELETE FROM items",
  "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
  "SELECT id, tidy(name), counts() FROM items WHERE kind = 'k' AND id = ANY ('{1,2}')",
  "SELECT * FROM good ORDER BY name LIMIT 3",
  "SELECT upper(name) FROM items",
  "SELECT 'pg_switch_wal()', $$CHECKPOINT; COPY x TO PROGRAM 'y'$$ AS text -- pg_reload_conf()",
  "SELECT * FROM hosts",
  "SELECT tuple_count FROM pgstattuple('items')",
  "SELECT count(*) FROM pg_stat_statements",
  "SELECT pg_sleep(0), count(*) FROM pg_ls_waldir()",
  "SELECT count(*) FROM pg_locks JOIN pg_prepared_xacts ON true",
  "SELECT count(*) FROM pg_file_settings, pg_hba_file_rules",
  "SELECT jsonb_path_query('{}', '$'), xmlelement(name x), extract(year FROM now()), 'a' SIMILAR TO 'b'",
  "SELECT id FROM items TABLESAMPLE system (10)",
  "SELECT count(*) FROM information_schema.columns WHERE table_name = 'items'",
];

/** Not with this server's grammar or catalogue. */
const SINCE: Record<string, Version> = {
  "SELECT json_value(name, name) FROM items": 13,
};

describe.each([13, 18] as Version[])("sql.query on %d", (version) => {
  let on: Bench;
  const run = (sql: string, more = {}) => runStep(query, { sql, ...more }, on.ctx);
  const failure = (sql: string, more = {}) =>
    run(sql, more).then(
      () => ({ code: "nothing", message: "", data: null }),
      (error: { code: string; message: string; data: unknown }) => error,
    );
  const locks = async () =>
    (await on.sql("SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory'"))[0].n;

  beforeAll(async () => {
    on = await bench(version);
    await on.sql(SETUP.replace("RAN", join(on.server.socketDir, "ran")));
  });
  afterAll(() => on.close());

  test("what by its text is no read is neither run nor passed by lint", async () => {
    for (const [rule, sql] of STATIC) {
      const said = await failure(sql.replace("RAN", join(on.server.socketDir, "ran")));
      expect([sql, said.code, said.data]).toEqual([sql, "step_refused", { rule }]);
      const found = await query.lint?.({ sql });
      expect([sql, found?.map((one) => one.rule)]).toEqual([sql, [rule]]);
    }
    expect(existsSync(join(on.server.socketDir, "ran"))).toBe(false);
    expect(await locks()).toBe(0);
  });

  test("what only the server knows is refused before it acts", async () => {
    for (const [why, sql] of ASKED) {
      if ((SINCE[sql] ?? version) !== version) continue;
      expect(await query.lint?.({ sql })).toEqual([]);
      const { code, message } = await failure(sql);
      expect([sql, code]).toEqual([sql, "step_refused"]);
      if (why !== "ts_stat") expect(message).toContain(why.replace(" is volatile", ""));
    }
    expect(existsSync(join(on.server.socketDir, "ran"))).toBe(false);
    expect(await locks()).toBe(0);
  });

  test("what only reads is run", async () => {
    for (const sql of ALLOWED) {
      expect([sql, await query.lint?.({ sql })]).toEqual([sql, []]);
      const said = await failure(sql);
      expect([sql, said.code, said.message]).toEqual([sql, "nothing", ""]);
    }
  });

  test("strings end where our reading says they do", async () => {
    await on.sql(`ALTER DATABASE ${on.database} SET standard_conforming_strings = off`);
    const other = await bench(version, on.database);
    const sql = `SELECT '\\' || mal.act() || '\\' AS x`;
    const { rows } = await runStep(
      query,
      { sql: `SELECT '\\'' || mal.act() || ''\\' AS x` },
      other.ctx,
    );
    expect(rows).toEqual([{ x: "\\' || mal.act() || '\\" }]);
    expect(await codeOf(runStep(query, { sql }, other.ctx))).toBe("step_refused");
    await other.close();
    await on.sql(`ALTER DATABASE ${on.database} RESET standard_conforming_strings`);
    expect(await locks()).toBe(0);
  });

  test("values are values, and another search_path is reckoned with", async () => {
    expect((await run("SELECT $1 AS v", { values: ["1); SELECT mal.act("] })).rows).toEqual([
      { v: "1); SELECT mal.act(" },
    ]);
    await on.sql(`ALTER DATABASE ${on.database} SET search_path = away, pg_catalog, public`);
    const other = await bench(version, on.database);
    expect(await codeOf(runStep(query, { sql: "SELECT upper('a')" }, other.ctx))).toBe(
      "step_refused",
    );
    expect(
      (await runStep(query, { sql: "SELECT pg_catalog.upper('a') AS a" }, other.ctx)).rows,
    ).toEqual([{ a: "A" }]);
    await other.close();
    await on.sql(`ALTER DATABASE ${on.database} RESET search_path`);
    expect(await locks()).toBe(0);
  });

  test("a cast that nobody writes counts where an operator may call it", async () => {
    const sql = "SELECT 1 = 'a'::text AS same";
    await on.sql(`CREATE TYPE pitch AS ENUM ('one');
      CREATE FUNCTION mal.same(pitch, pitch) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
      CREATE FUNCTION mal.pitch(text) RETURNS pitch LANGUAGE plpgsql AS $$BEGIN PERFORM mal.act(); RETURN 'one'; END$$;
      CREATE FUNCTION mal.pitch(int) RETURNS pitch IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN 'one'; END$$;
      CREATE CAST (text AS pitch) WITH FUNCTION mal.pitch(text) AS IMPLICIT; CREATE CAST (int AS pitch) WITH FUNCTION mal.pitch(int) AS IMPLICIT;
      CREATE OPERATOR = (LEFTARG = pitch, RIGHTARG = pitch, FUNCTION = mal.same);`);
    expect((await failure(sql)).message).toContain("mal.pitch(text)");
    await on.sql("DROP TYPE pitch CASCADE");
    expect((await failure(sql)).code).toBe("query_failed");
    expect(await locks()).toBe(0);
  });

  test("what was a read is judged again each time that it is run", async () => {
    const sql = "SELECT changing() AS n";
    const body = "CREATE OR REPLACE FUNCTION changing() RETURNS int STABLE LANGUAGE";
    await on.sql(`${body} sql AS 'SELECT 1'`);
    expect((await run(sql)).rows).toEqual([{ n: 1 }]);
    await on.sql(`${body} plpgsql AS 'BEGIN RETURN mal.act(); END'`);
    expect((await failure(sql)).code).toBe("step_refused");
    expect(await locks()).toBe(0);
  });

  test("a probe is a read as well", async () => {
    const probe = async (text: string) => execute.probe?.(on.ctx, { sql: "SELECT 1", probe: text });
    expect(await probe("SELECT true")).toMatchObject({ state: "done" });
    for (const text of ["SELECT mal.act() = 1", "SELECT pg_switch_wal() IS NULL", "CHECKPOINT"])
      expect(await codeOf(probe(text) as Promise<unknown>)).toBe("step_refused");
    const found = await execute.lint?.({
      sql: 'DROP TABLE :"t"',
      identifiers: { t: "x" },
      probe: 'SELECT pg_switch_wal() FROM :"t"',
    });
    expect(found?.map(({ rule, path }) => [rule, path])).toEqual([["acting-function", ["probe"]]]);
  });
});

test("every volatile function of every version is known as reading or as acting", async () => {
  const unknown = new Set<string>();
  for (const version of VERSIONS) {
    const on = await bench(await sharedServer(version), "postgres");
    const rows = await on.sql(
      "SELECT proname AS name FROM pg_proc WHERE oid < 16384 AND prorettype <> 'trigger'::regtype AND NOT 2281 = ANY (proargtypes::oid[]) GROUP BY 1 HAVING bool_and(provolatile = 'v')",
    );
    for (const { name } of rows)
      if (!READS.has(name) && !acts(name) && !runsText(name, null)) unknown.add(name);
    await on.close();
  }
  expect([...READS].filter(acts)).toEqual([]);
  expect([...unknown]).toEqual([]);
}, 300_000);
