import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import analyze from "../../../steps/query/analyze.ts";
import { BUILTIN, SEQUENCES } from "../../../providers/postgres/guard/harmless.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";
import { type Bench, bench, runStep } from "./support.ts";

let on: Bench;
const run = (input: JsonObject, ctx = on.ctx) => runStep(analyze, input, ctx);
const executed = (sql: string, more: JsonObject = {}) => run({ sql, analyze: true, ...more });
const messageOf = async (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing",
    (error: Error) => error.message,
  );

const hint = async (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing",
    (error: PgdbaError) => error.hint,
  );

/** Everything that a statement could have left in the database, except what is allowed to stay. */
async function traces() {
  return on.sql(`SELECT (SELECT md5(string_agg(i::text, '|' ORDER BY id)) FROM items i) AS items,
    (SELECT count(*) FROM log) AS log, (SELECT count(*) FROM pg_largeobject_metadata) AS objects,
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS locks,
    (SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS relations`);
}

beforeAll(async () => {
  on = await bench();
  await on.sql(`
    CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, price numeric CHECK (price >= 0));
    INSERT INTO items SELECT i, 'item ' || i, i FROM generate_series(1, 5000) i;
    CREATE TABLE tags (item int REFERENCES items ON DELETE CASCADE, tag text);
    CREATE TABLE log (said text);
    CREATE TABLE numbered (id serial, v int);
    CREATE TABLE watched (id int PRIMARY KEY, v int);
    INSERT INTO watched VALUES (1, 1);
    CREATE EXTENSION dblink; CREATE EXTENSION file_fdw; CREATE EXTENSION pgcrypto;
    CREATE FUNCTION noisy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0); RETURN NEW; END';
    CREATE TRIGGER loud BEFORE UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION noisy();
    CREATE FUNCTION shout(t text) RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (t); SELECT 1';
    CREATE FUNCTION double(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 2 * n; END';
    CREATE FUNCTION liar() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN PERFORM double(1); PERFORM hidden(); RETURN 1; END$$;
    CREATE FUNCTION hidden() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN PERFORM dblink_exec('', 'x'); RETURN 1; END$$;
    CREATE FUNCTION dynamic() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN EXECUTE 'SELECT 1'; RETURN 1; END$$;
    CREATE FUNCTION summed(n int, m int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN n + m; END';
    CREATE AGGREGATE odd_sum (int) (SFUNC = summed, STYPE = int, INITCOND = '0');
    CREATE OPERATOR |+| (LEFTARG = int, RIGHTARG = int, FUNCTION = summed);
    CREATE FUNCTION adds(n int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN n |+| 1; END';
    CREATE VIEW through AS SELECT id, shout(name) AS s FROM items;
    CREATE FUNCTION by_view() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(s) FROM through); END';
    CREATE FUNCTION root(float8) RETURNS float8 IMMUTABLE LANGUAGE internal AS 'dsqrt';
    CREATE TABLE ruled (id int); CREATE RULE tell AS ON INSERT TO ruled DO ALSO NOTIFY somebody;
    CREATE TABLE checked (id int CHECK (summed(id, 1) > 0));
    CREATE TABLE defaulted (id int, v int DEFAULT summed(1, 1));
    CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
    CREATE FOREIGN TABLE program (line text) SERVER files OPTIONS (program 'touch ${join(on.server.socketDir, "ran")}; echo 1');
    CREATE FOREIGN TABLE passwd (line text) SERVER files OPTIONS (filename '/etc/hostname', format 'text');
    CREATE FUNCTION reads() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM program); END';
    CREATE TABLE split (id int) PARTITION BY LIST (id);
    CREATE FOREIGN TABLE split_far PARTITION OF split FOR VALUES IN (1) SERVER files OPTIONS (filename '/dev/null')`);
  // Or the rows just inserted would be reported after they were analysed.
  await on.sql("SELECT pg_stat_force_next_flush()");
  await on.sql("ANALYZE items, numbered, watched");
});
afterAll(() => on.close());

describe("a plan", () => {
  test("without execution: tree, text, totals, nothing executed", async () => {
    const output = await run({ sql: "SELECT * FROM items WHERE name = 'item 7'" });
    expect(output.next).toContain("pgdba query analyze --sql 'SELECT * FROM items WHERE name = ");
    expect(output.next).toContain(" --analyze");
    expect(output).toMatchObject({
      analyzed: false,
      generic: false,
      database: on.database,
      totals: { planning_ms: null, execution_ms: null },
      plan: {
        type: "Seq Scan",
        relation: { schema: "public", name: "items" },
        actual: null,
        details: { filter: "(items.name = 'item 7'::text)" },
      },
      findings: [],
    });
    expect(output.totals.cost).toBeGreaterThan(50);
    expect(output.text).toContain("Seq Scan on items");
  });

  test("with execution: rows, time, buffers", async () => {
    const { plan, totals, analyzed } = await executed(
      "SELECT count(*) FROM items WHERE price > 100",
    );
    expect(analyzed).toBe(true);
    expect(totals.rows).toBe(1);
    expect(totals.execution_ms).toBeGreaterThan(0);
    expect(plan.children[0]).toMatchObject({ type: "Seq Scan", actual: { loops: 1, rows: 4900 } });
    expect(plan.children[0].buffers.shared_hit).toBeGreaterThan(10);
  });

  test("is what findings are made from, and the work_mem they advise does hold the sort, hash and groups", async () => {
    await on.sql(
      "CREATE TABLE wide AS SELECT i, i % 7 AS k, 'note ' || i AS note FROM generate_series(1, 60000) i; ANALYZE wide",
    );
    await on.sql(
      "CREATE TABLE sparse (i int PRIMARY KEY, note text) WITH (fillfactor = 10); INSERT INTO sparse SELECT i, repeat('x', 30) FROM generate_series(1, 30000) i; ANALYZE sparse",
    );
    const off = {
      max_parallel_workers_per_gather: "0",
      enable_mergejoin: "off",
      enable_nestloop: "off",
      enable_sort: "off",
    };
    const statements: [string, string, JsonObject][] = [
      ["sort_spill", "SELECT * FROM wide ORDER BY note", { max_parallel_workers_per_gather: "0" }],
      ["hash_spill", "SELECT count(*) FROM wide a JOIN wide b USING (note)", off],
      ["aggregate_spill", "SELECT note, count(*) FROM wide GROUP BY note", off],
      [
        "bitmap_lossy",
        "SELECT count(*) FROM sparse WHERE i < 28000",
        {
          enable_seqscan: "off",
          enable_indexscan: "off",
          enable_indexonlyscan: "off",
          max_parallel_workers_per_gather: "0",
        },
      ],
    ];
    for (const [code, sql, settings] of statements) {
      const work_mem = code === "bitmap_lossy" ? 64 : 256;
      const small = await executed(sql, { settings: { ...settings, work_mem: `${work_mem}kB` } });
      const found = small.findings.find((one: JsonObject) => one.code === code);
      expect(found?.evidence.work_mem_kb).toBe(work_mem);
      const enough = await executed(sql, {
        settings: { ...settings, work_mem: `${found.evidence.needed_work_mem_kb}kB` },
      });
      expect(enough.findings.map((one: JsonObject) => one.code)).not.toContain(code);
      expect(found.evidence.needed_work_mem_kb).toBeLessThan(64 * 1024);
    }
  });

  test("settings are for the statement alone, and only the planner's", async () => {
    const settings = { enable_seqscan: "off" };
    expect(
      (await run({ sql: "SELECT * FROM items WHERE id = 7 OR id = 8", settings })).plan.type,
    ).not.toBe("Seq Scan");
    expect(await codeOf(run({ sql: "SELECT 1", settings: { statement_timeout: "0" } }))).toBe(
      "invalid_param",
    );
    expect(
      await codeOf(run({ sql: "SELECT 1", settings: { session_replication_role: "replica" } })),
    ).toBe("invalid_param");
    expect(
      await codeOf(run({ sql: "SELECT 1", settings: { "work_mem; DROP TABLE items": "1" } })),
    ).toBe("invalid_param");
  });

  test("an error stands where the text that was given has it", async () => {
    const error = await run({ sql: "SELECT nam FROM items" }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "query_failed",
      data: { sqlstate: "42703", position: "8" },
    });
  });

  test("missing statistics are among the findings", async () => {
    await on.sql("CREATE TABLE unknown AS SELECT i FROM generate_series(1, 30000) i");
    const { findings } = await run({ sql: "SELECT * FROM unknown WHERE i = 7" });
    expect(findings[0]).toMatchObject({
      code: "statistics_missing",
      node: { title: "Seq Scan on unknown" },
    });
  });
});

describe("parameters", () => {
  const sql = "SELECT * FROM items WHERE id = $1 AND name = $2";

  test("none given: the plan for any values", async () => {
    const { generic, plan } = await run({ sql });
    expect(generic).toBe(true);
    expect(plan).toMatchObject({
      title: "Index Scan using items_pkey on items",
      details: { index_cond: "(items.id = $1)" },
    });
  });

  test("given: the plan for these, and they are values whatever they hold", async () => {
    const { plan } = await run({ sql, params: [7, "x'; DROP TABLE items; --"] });
    expect(plan.details).toMatchObject({
      index_cond: "(items.id = 7)",
      filter: "(items.name = 'x''; DROP TABLE items; --'::text)",
    });
    const { totals } = await executed(sql, { params: [7, "item 7"] });
    expect(totals.rows).toBe(1);
  });

  test("too few, too many, or needed to execute", async () => {
    expect(await codeOf(run({ sql, params: [7] }))).toBe("invalid_param");
    expect(await codeOf(run({ sql: "SELECT 1", params: [7] }))).toBe("invalid_param");
    expect(await codeOf(executed(sql))).toBe("invalid_param");
    expect(await codeOf(run({ sql, params: ["seven", "x"] }))).toBe("query_failed");
  });

  test("on 13 too, and the prepared statement for it does not stay", async () => {
    const old = await bench(13);
    await old.sql(
      "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items SELECT i, 'n' FROM generate_series(1, 2000) i; ANALYZE items",
    );
    for (const _ of [1, 2]) {
      const { generic, plan } = await run({ sql }, old.ctx);
      expect(generic).toBe(true);
      expect(plan.details.index_cond).toBe("(items.id = $1)");
    }
    expect(await codeOf(run({ sql: "SELECT nothing($1)" }, old.ctx))).toBe("query_failed");
    expect((await run({ sql: "SELECT 1 WHERE $1" }, old.ctx)).generic).toBe(true);
    // A syntax that 14 gave up: our grammar does not take it, so it is planned and never executed.
    const factorial = "SELECT id ! FROM items";
    expect((await run({ sql: factorial }, old.ctx)).plan.type).toBe("Seq Scan");
    expect(await codeOf(run({ sql: factorial, analyze: true }, old.ctx))).toBe("step_refused");
    const { plan } = await run(
      { sql: "UPDATE items SET name = 'x' WHERE id = 3", analyze: true },
      old.ctx,
    );
    expect(plan.title).toBe("Update on items");
    expect(await old.sql("SELECT name FROM items WHERE id = 3")).toEqual([{ name: "n" }]);
    await old.close();
  });
});

describe("executed and undone", () => {
  test.each([
    ["DELETE FROM items WHERE id > 4990", "Delete on items"],
    ["UPDATE items SET price = price + 1 WHERE id < 10", "Update on items"],
    [
      "INSERT INTO items VALUES (9001, 'new', 1) ON CONFLICT (id) DO UPDATE SET name = lower(excluded.name)",
      "Insert on items",
    ],
    [
      "WITH gone AS (DELETE FROM items WHERE id = 1 RETURNING *) INSERT INTO log SELECT name FROM gone",
      "Insert on log",
    ],
    [
      "MERGE INTO items i USING (VALUES (1), (9002)) v (id) ON i.id = v.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'm', 1)",
      "Merge on items i",
    ],
  ])("%s", async (sql, title) => {
    const before = await traces();
    const ctx = on.again();
    const output = await run({ sql, analyze: true }, ctx);
    expect(output.analyzed).toBe(true);
    expect(output.plan.title).toBe(title);
    expect(ctx.recorded.warnings.join()).toContain("dead ones");
    expect(await traces()).toEqual(before);
  });

  test("where only reads were asked for, what would write is not executed, not even to be rolled back", async () => {
    const reads = on.again({ readOnly: true });
    for (const sql of ["DELETE FROM items", "SELECT id FROM items WHERE id = 1 FOR UPDATE"]) {
      expect(await codeOf(run({ sql, analyze: true }, reads))).toBe("step_refused");
      expect((await run({ sql }, reads)).analyzed).toBe(false);
    }
    expect((await run({ sql: "SELECT * FROM items", analyze: true }, reads)).analyzed).toBe(true);
  });

  test("row locks are taken and given back", async () => {
    const { plan } = await executed("SELECT * FROM items WHERE id = 1 FOR UPDATE");
    expect(plan.type).toBe("LockRows");
  });

  test("a sequence does move, and that is said", async () => {
    const ctx = on.again();
    await run({ sql: "INSERT INTO numbered (v) VALUES (1)", analyze: true }, ctx);
    expect(ctx.recorded.warnings.join()).toContain("sequence");
    expect(await on.sql("SELECT count(*)::int AS n FROM numbered")).toEqual([{ n: 0 }]);
    expect(await on.sql("SELECT last_value::int AS last FROM numbered_id_seq")).toEqual([
      { last: 1 },
    ]);
  });

  test("what is harmless runs", async () => {
    for (const sql of [
      "SELECT random(), clock_timestamp(), gen_random_uuid(), double(2), pg_table_size('items')",
      "SELECT crypt('x', gen_salt('md5'))",
      "SELECT * FROM pg_locks",
      "VALUES (1), (2)",
      "SELECT 'call dblink(x) and pg_sleep(1)' FROM items WHERE name <> 'pg_sleep(60)'",
      "SELECT count(*) FROM passwd",
      "SELECT count(*) FROM items TABLESAMPLE system (50)",
      "SELECT row_number() OVER (ORDER BY id), now() - interval '1 day' FROM items WHERE id IN (1, 2)",
    ])
      expect((await executed(sql)).analyzed).toBe(true);
  });

  test("a timeout ends it, and the session goes on", async () => {
    const slow =
      "SELECT count(*) FROM items a, items b, items c WHERE a.price + b.price + c.price < 0";
    expect(await codeOf(executed(slow, { timeout: "50ms" }))).toBe("timeout");
    expect((await executed("SELECT 1")).analyzed).toBe(true);
  });

  test("a lock that is held is not waited for for long", async () => {
    await on.sql("BEGIN; LOCK TABLE items");
    expect(await codeOf(run({ sql: "SELECT * FROM items", timeout: "100ms" }))).toBe("timeout");
    await on.sql("ROLLBACK");
  });
});

describe("what could act outside of the transaction is not executed", () => {
  const file = () => join(on.server.socketDir, "ran");

  test.each([
    ["COMMIT; DROP TABLE items", "invalid_param"],
    ["SELECT 1; SELECT 2", "invalid_param"],
    ["SELECT 1;; DROP TABLE items; --", "invalid_param"],
    ["ANALYZE DELETE FROM items", "query_failed"],
    ["(ANALYZE) DELETE FROM items", "query_failed"],
    ["EXPLAIN ANALYZE DELETE FROM items", "invalid_param"],
    ["", "invalid_param"],
    ["-- nothing", "invalid_param"],
    ["SELECT 1\0; DROP TABLE items", "invalid_param"],
    ["COPY items TO PROGRAM 'cat'", "step_refused"],
    ["NOTIFY somebody", "step_refused"],
    ["DROP TABLE items", "step_refused"],
    ["CREATE TABLE stolen AS SELECT * FROM items", "step_refused"],
    ["SELECT * INTO stolen FROM items", "step_refused"],
    ["DO $$ BEGIN DELETE FROM items; END $$", "step_refused"],
    ["CALL something()", "step_refused"],
    ["SET statement_timeout = 0", "step_refused"],
    ["DECLARE c CURSOR FOR SELECT 1", "step_refused"],
    ["BEGIN", "step_refused"],
    ["PREPARE TRANSACTION 'x'", "step_refused"],
  ])("%s", async (sql, code) => {
    const before = await traces();
    for (const analyzed of [true, false])
      expect(await codeOf(run({ sql, analyze: analyzed }))).toBe(code);
    expect(await traces()).toEqual(before);
  });

  test.each([
    ["pg_sleep", "SELECT pg_sleep(60)"],
    ["pg_sleep", "SELECT * FROM items WHERE id = 1 AND (SELECT true FROM pg_sleep(60)) IS NULL"],
    ["pg_read_file", "SELECT pg_read_file('/etc/passwd')"],
    ["pg_ls_dir", "SELECT * FROM pg_ls_dir('/')"],
    ["lo_export", "SELECT lo_export(1, '/nonexistent')"],
    ["lo_import", "SELECT lo_import('/etc/passwd')"],
    ["dblink", "SELECT * FROM dblink('', 'DELETE FROM items') AS d (n int)"],
    ["dblink_exec", "SELECT dblink_exec('', 'DELETE FROM items')"],
    ["pg_terminate_backend", "SELECT pg_terminate_backend(pg_backend_pid())"],
    ["pg_advisory_lock", "SELECT pg_advisory_lock(7)"],
    ["set_config", "SELECT set_config('statement_timeout', '0', true)"],
    ["setval", "SELECT setval('numbered_id_seq', 900)"],
    ["query_to_xml", "SELECT query_to_xml('SELECT pg_sleep(9)', true, true, '')"],
    ["pg_notify", "SELECT pg_notify('a', 'b')"],
    ["shout", "SELECT shout('x')"],
    ["shout", "SELECT s FROM through WHERE id = 1"],
    ["public.through calls public.shout", "SELECT by_view()"],
    ["a function in internal", "SELECT root(price::float8) FROM items"],
    ["public.hidden() calls public.dblink_exec", "SELECT liar()"],
    ["dynamic", "SELECT dynamic()"],
    ["operator |+| calls public.summed", "SELECT adds(1)"],
    ["summed", "SELECT odd_sum(id) FROM items"],
    ["operator |+|", "SELECT id |+| 1 FROM items"],
    ["trigger loud of public.watched", "UPDATE watched SET v = 2"],
    ["constraint checked_id_check", "INSERT INTO checked VALUES (1)"],
    [
      "default of public.defaulted",
      "MERGE INTO defaulted d USING (VALUES (1)) v (id) ON d.id = v.id WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id)",
    ],
    [
      "shout",
      "INSERT INTO items VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET price = shout('conflict')",
    ],
    [
      "pg_sleep",
      "INSERT INTO items VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET name = 'y' WHERE (SELECT true FROM pg_sleep(60))",
    ],
    ["foreign", "SELECT * FROM program"],
    ["foreign", "SELECT reads()"],
    ["foreign", "INSERT INTO split VALUES (1)"],
    ["rule", "INSERT INTO ruled VALUES (1)"],
    ["pg_sleep", "WITH w AS MATERIALIZED (SELECT pg_sleep(60)) SELECT 1 FROM w"],
  ])("%s: %s", async (why, sql) => {
    const before = await traces();
    const started = performance.now();
    const error = await executed(sql).catch((thrown: unknown) => thrown);
    expect(error.message).toContain(why);
    expect(["step_refused", "unsupported"]).toContain(error.code);
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(await traces()).toEqual(before);
    expect(existsSync(file())).toBe(false);
  });

  test("the refusal names what stands against it", async () => {
    expect(await messageOf(executed("SELECT pg_sleep(60)"))).toContain(
      "it calls pg_sleep(double precision), which is volatile",
    );
    expect(await messageOf(executed("UPDATE watched SET v = 2"))).toContain(
      "trigger loud of public.watched calls public.noisy()",
    );
    expect(await messageOf(executed("SELECT liar()"))).toContain(
      "public.hidden() calls public.dblink_exec",
    );
    expect(await messageOf(executed("SELECT id |+| 1 FROM items"))).toContain(
      "operator |+| calls public.summed(integer,integer)",
    );
  });

  test("they are planned all the same", async () => {
    expect((await run({ sql: "SELECT pg_sleep(60)" })).plan.type).toBe("Result");
    expect((await run({ sql: "UPDATE watched SET v = 2" })).plan.title).toBe("Update on watched");
  });

  test("a cast and a domain that call something refuse what their types matter to, and no more", async () => {
    await on.sql(`CREATE DOMAIN picky AS int CHECK (summed(VALUE, 1) > 0);
      CREATE TABLE choosy (id picky); CREATE VIEW chosen AS SELECT 1 AS n FROM choosy`);
    for (const sql of [
      "SELECT 1::picky",
      'SELECT 1::U&"pick\\0079"',
      "INSERT INTO choosy VALUES (1)",
      "SELECT id FROM choosy",
      "SELECT n FROM chosen",
    ])
      expect(await messageOf(executed(sql))).toContain("domain public.picky calls public.summed");
    expect((await executed("SELECT count(*) FROM items")).analyzed).toBe(true);
    await on.sql(
      "DROP TABLE choosy CASCADE; DROP DOMAIN picky; CREATE TYPE pair AS (a int, b int)",
    );
    await on.sql(
      "CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE plpgsql AS 'BEGIN RETURN ROW($1, $1); END'",
    );
    await on.sql(
      "CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT; CREATE TABLE pairs (p pair)",
    );
    for (const sql of ["SELECT 1::pair", "INSERT INTO pairs VALUES (1)"])
      expect(await messageOf(executed(sql))).toContain("to_pair(integer)");
    expect((await executed("UPDATE items SET price = 1 WHERE id = 1")).analyzed).toBe(true);
    await on.sql("DROP TYPE pair CASCADE; DROP TABLE pairs");
  });

  test("two at once on one session do not meet", async () => {
    const sql = "SELECT * FROM items WHERE id = $1";
    const both = await Promise.all([run({ sql }), run({ sql }), run({ sql: `${sql} -- again` })]);
    expect(both.map(({ generic }) => generic)).toEqual([true, true, true]);
  });

  test("the allow list holds volatile functions only, which a rollback or nothing undoes", async () => {
    const rows = await on.sql(
      "SELECT proname FROM pg_proc WHERE provolatile = 'v' AND oid < 16384",
    );
    const volatile = new Set(rows.map(({ proname }) => proname));
    expect([...BUILTIN, ...SEQUENCES].filter((name) => !volatile.has(name))).toEqual([]);
  });
});

describe("who asks", () => {
  test("an ordinary user gets plans of what it may read, and only those", async () => {
    await on.sql(`CREATE ROLE plain_user LOGIN PASSWORD 'p'; GRANT SELECT ON items TO plain_user`);
    const bare = await bench(18, on.database, { user: "plain_user", password: "p" });
    const { plan, findings } = await run(
      { sql: "SELECT * FROM items WHERE id = 7", analyze: true },
      bare.ctx,
    );
    expect(plan.title).toBe("Index Scan using items_pkey on items");
    expect(findings).toEqual([]);
    expect(await codeOf(run({ sql: "SELECT * FROM log" }, bare.ctx))).toBe(
      "insufficient_privilege",
    );
    expect(await codeOf(run({ sql: "DELETE FROM items", analyze: true }, bare.ctx))).toBe(
      "insufficient_privilege",
    );
    await bare.close();
    await on.sql("DROP OWNED BY plain_user; DROP ROLE plain_user");
  });

  test("what it may not read or write: which GRANT", async () => {
    await on.sql(
      `CREATE ROLE "plain-1" LOGIN PASSWORD 'p'; CREATE SCHEMA shut; CREATE TABLE shut.away (id int); GRANT SELECT ON items TO "plain-1"`,
    );
    const bare = await bench(18, on.database, { user: "plain-1", password: "p" });
    const hintOf = (sql: string) => hint(run({ sql }, bare.ctx));
    expect(await hintOf("SELECT * FROM items JOIN log ON true")).toBe(
      'As the owner: GRANT SELECT ON log TO "plain-1";',
    );
    expect(await hintOf("SELECT * FROM shut.away")).toBe(
      'As the owner: GRANT USAGE ON SCHEMA shut TO "plain-1";',
    );
    await on.sql(`GRANT USAGE ON SCHEMA shut TO "plain-1"`);
    expect(await hintOf("INSERT INTO shut.away SELECT id FROM items")).toBe(
      'As the owner: GRANT INSERT ON shut.away TO "plain-1";',
    );
    expect(await hintOf("DELETE FROM items WHERE id = 1")).toBe(
      'As the owner: GRANT DELETE ON items TO "plain-1";',
    );
    await bare.close();
    await on.sql(`DROP OWNED BY "plain-1"; DROP ROLE "plain-1"; DROP SCHEMA shut CASCADE`);
  });

  test("parameters whose types the text does not tell: planned with those that fit, executed with the values, judged as planned", async () => {
    const sum = "sum(CASE WHEN id = $1 THEN $2 ELSE $3 END)";
    expect((await run({ sql: `SELECT ${sum} FROM items` })).plan.type).toBe("Aggregate");
    const by = (day: string, gap: string) => `date_trunc(${day}, now() + id * interval ${gap})`;
    for (const [sql, params, rows] of [
      [`SELECT ${sum} FROM items`, [1, 2, 3], 1],
      [`SELECT ${sum} FROM items`, [1, 2.5, 3], 1],
      ["SELECT id FROM items WHERE id > $2 + (current_date - $1 - current_date)", [7, 5000], 7],
      [
        `SELECT ${by("$1", "$2")}, count(*) FROM items GROUP BY ${by("'century'", "$3")}`,
        ["century", "1 s", "1 s"],
        1,
      ],
    ] as const) {
      const { totals, analyzed } = await executed(sql, { params: [...params] });
      expect([totals.rows, analyzed], sql).toEqual([rows, true]);
    }
    const before = await traces();
    for (const [sql, more] of [
      [`SELECT liar(), ${sum} FROM items`, {}],
      ["SELECT liar(), now() - interval $1", {}],
      [`SELECT shout('x'), ${sum} FROM items`, { analyze: true, params: [1, 2, 3] }],
      ["SELECT shout('x'), now() - interval $1", { analyze: true, params: ["1 day"] }],
      [
        "UPDATE watched SET v = v + sign(CASE WHEN id = 1 THEN $1 ELSE $2 END)",
        { analyze: true, params: [1, 2] },
      ],
    ] as [string, JsonObject][])
      expect(await codeOf(run({ sql, ...more })), sql).toBe("step_refused");
    const written = "UPDATE items SET price = price + sign(CASE WHEN id = 1 THEN $1 ELSE $2 END)";
    expect((await executed(written, { params: [1, 2] })).plan.children[0].actual.rows).toBe(5000);
    expect(await traces()).toEqual(before);
    const wrong = run({ sql: "SELECT 'é', nothing(interval $1, $2) FROM items" });
    const error = await wrong.catch((thrown: PgdbaError) => thrown);
    expect(error.data).toMatchObject({ position: "13", parameters: ["$2"] });
    expect(error.hint).toContain("$1::date");
  });

  test("by queryid, in the database where the statement ran", async () => {
    await on.sql("CREATE EXTENSION pg_stat_statements SCHEMA public");
    await on.sql("SELECT count(*) AS found_by_queryid FROM items WHERE price > 4000");
    const [recorded] = await on.sql(
      "SELECT queryid::text FROM pg_stat_statements WHERE query LIKE '%found_by_queryid%' AND query NOT LIKE '%pg_stat%'",
    );
    const { statement, generic, plan } = await run({ queryid: recorded.queryid });
    expect(statement).toBe("SELECT count(*) AS found_by_queryid FROM items WHERE price > $1");
    expect([generic, plan.type]).toEqual([true, "Aggregate"]);
    expect(await codeOf(run({ queryid: "1" }))).toBe("invalid_param");

    const recordedAs = async (sql: string) => {
      await on.sql(sql);
      const rows = await on.sql(
        `SELECT queryid::text FROM pg_stat_statements WHERE query LIKE '%${/AS (\w+)/.exec(sql)?.[1]}%' AND query NOT LIKE '%pg_stat%' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      return String(rows[0].queryid);
    };
    for (const everyday of [
      "SELECT now() - interval '1 day' AS by_interval",
      "SELECT count(*) AS by_date FROM items WHERE now() > date '2024-01-01' AND now() > timestamp '2024-01-01'",
      "SELECT count(*) AS by_extract FROM items WHERE extract(year FROM now() + price * interval '1 s') = 2024",
    ])
      expect((await run({ queryid: await recordedAs(everyday) })).generic).toBe(true);
    for (const [told, types] of [
      ["SELECT jsonb_build_array(1, 'x') AS by_any", "$1 text, $2 text"],
      [
        "SELECT sum(CASE WHEN id = 1 THEN 2 ELSE 3 END) AS by_sum FROM items",
        "$2 integer, $3 integer",
      ],
      ["SELECT count(*) AS by_days FROM items WHERE now() > current_date - 7", "$1 integer"],
    ] as const) {
      const ctx = on.again();
      expect((await run({ queryid: await recordedAs(told) }, ctx)).generic).toBe(true);
      expect(ctx.recorded.warnings.join()).toContain(`planned with ${types}.`);
      await ctx.close();
    }
    const untold = await recordedAs("SELECT double(2) AS by_none FROM items");
    await on.sql("ALTER FUNCTION double(int) RENAME TO twice");
    const lost = await run({ queryid: untold }).catch((error: PgdbaError) => error);
    await on.sql("ALTER FUNCTION twice(int) RENAME TO double");
    expect(lost.message).toBe("function double(unknown) does not exist");
    expect(lost.data).toMatchObject({ sqlstate: "42883", position: "8", parameters: ["$1"] });
    expect(lost.hint).toMatch(/what \$1 was is not known.*by --sql/);
    await on.sql("CREATE TABLE gone (id int)");
    const passing = await recordedAs("SELECT count(id) AS by_gone FROM gone");
    await on.sql("DROP TABLE gone");
    expect(await hint(run({ queryid: passing }))).toContain("by --sql");

    const other = await bench();
    await other.sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE elsewhere (n int)");
    expect((await run({ queryid: recorded.queryid }, other.ctx)).database).toBe(on.database);
    await other.close();
  });

  test("a table that the search_path does not reach is found in its schema", async () => {
    await on.sql(
      `CREATE SCHEMA "Sh;op"; CREATE TABLE "Sh;op".orders (id int); CREATE SCHEMA other; CREATE TABLE other.orders (id int); CREATE TABLE "Sh;op".lines (id int)`,
    );
    const sql = "SELECT count(*) FROM orders JOIN lines USING (id) JOIN items USING (id)";
    const said = await hint(run({ sql }));
    expect(said).toContain(`does not reach "Sh;op".lines, "Sh;op".orders, other.orders.`);
    const path = '"Sh;op",public';
    expect(said).toContain(`--settings '${JSON.stringify({ search_path: path })}'`);
    expect((await run({ sql, settings: { search_path: path } })).totals.cost).toBeGreaterThan(0);
    expect(await hint(run({ sql: "SELECT FROM nowhere" }))).toStartWith("Correct the statement");
  });

  test("one of sql and queryid, and the extension for the latter", async () => {
    expect(await codeOf(run({}))).toBe("invalid_param");
    expect(await codeOf(run({ sql: "SELECT 1", queryid: "1" }))).toBe("invalid_param");
    const without = await bench();
    expect(await codeOf(run({ queryid: "1" }, without.ctx))).toBe("capability_missing");
    await without.close();
  });
});
