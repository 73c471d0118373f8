import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import suggest from "../../../steps/index/suggest.ts";
import { type Bench, bench } from "./support.ts";
import { EXPERT, fill, QUERIES, SCHEMA } from "./tpch.ts";

setDefaultTimeout(300_000);

interface Suggestion {
  name: string;
  table: string;
  definition: string;
  statements: string[];
  command: string | null;
  bytes: number;
  saves: number;
  used_by: string[];
  replaces: string[];
  write_overhead: { rows: number };
}

interface Advice {
  suggestions: Suggestion[];
  removable: { index: string; reason: string; statement: string }[];
  queries: {
    sql: string;
    calls: number;
    cost_before: number;
    cost_after: number;
    indexes: string[];
  }[];
  cost: { before: number; after: number };
  bytes: number;
  workload: { source: string; statements: number };
  unproven: { sql: string; reason: string; position: number | null; hint: string | null }[];
  limits: { object: string; reason: string }[];
}

let on: Bench;

beforeAll(async () => {
  on = await bench({ shared_preload_libraries: "pg_stat_statements", log_statement: "all" });
  await on.client.query(SCHEMA);
  for (const part of fill(6).split(";\n")) await on.client.query(part);
  // pgbench's tables, without the indexes it makes.
  await on.client.query(`CREATE TABLE pgbench_branches (bid int, bbalance int, filler char(88));
    CREATE TABLE pgbench_tellers (tid int, bid int, tbalance int, filler char(84));
    CREATE TABLE pgbench_accounts (aid int, bid int, abalance int, filler char(84));
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    INSERT INTO pgbench_branches SELECT i, 0 FROM generate_series(1, 2) i; INSERT INTO pgbench_tellers SELECT i, i / 10, 0 FROM generate_series(1, 20) i;
    INSERT INTO pgbench_accounts SELECT i, i % 2, 0 FROM generate_series(1, 60000) i;
    INSERT INTO pgbench_history SELECT i % 20, i % 2, i, 7, '2025-01-01' FROM generate_series(1, 20000) i;
    CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, name text NOT NULL, deleted boolean NOT NULL, status text NOT NULL, tags text[] NOT NULL, at timestamptz NOT NULL);
    INSERT INTO users SELECT i, 'User' || i || '@example.org', 'n' || i % 500, i % 1000 = 0, CASE WHEN i % 200 = 0 THEN 'failed' ELSE 'done' END, ARRAY['t' || i % 300], timestamptz '2025-01-01' + i * interval '1 minute'
      FROM generate_series(1, 30000) i;
    CREATE INDEX users_name ON users (name); CREATE INDEX users_name_at ON users (name, at); CREATE INDEX users_deleted ON users (deleted)`);
  await on.client.query("VACUUM ANALYZE");
});

afterAll(() => on?.stop());

async function advise(statements: readonly string[], more: object = {}): Promise<Advice> {
  return (await suggest.run(on.context(), {
    workload: statements.map((sql) => ({ sql })),
    ...more,
  })) as unknown as Advice;
}

async function costs(statements: readonly string[]): Promise<number[]> {
  const list: number[] = [];
  for (const sql of statements) list.push(await on.cost(sql));
  return list;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** Builds what is suggested, runs `work`, and drops it again. */
async function built(suggestions: readonly Suggestion[], work: () => Promise<void>): Promise<void> {
  for (const { statements } of suggestions)
    for (const sql of statements) await on.client.query(sql);
  try {
    for (const { table } of suggestions) await on.client.query(`ANALYZE ${table}`);
    await work();
  } finally {
    for (const { name } of suggestions) await on.client.query(`DROP INDEX "${name}"`);
  }
}

/** Every suggestion is in the real server's plan of a statement that it was suggested for. */
async function expectUsed(suggestions: readonly Suggestion[]): Promise<void> {
  for (const { name, used_by } of suggestions) {
    const plans: string[] = [];
    for (const sql of used_by)
      plans.push(
        JSON.stringify(
          (await on.client.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows[0]["QUERY PLAN"],
        ),
      );
    expect(
      plans.filter((plan) => plan.includes(`"Index Name":"${name}"`)).length,
      name,
    ).toBeGreaterThan(0);
  }
}

async function expectNoDuplicate(): Promise<void> {
  const { rows } = await on.client
    .query(`SELECT array_agg(indexrelid::regclass) FROM pg_index WHERE indrelid::regclass::text !~ '^pg_'
    GROUP BY indrelid, indkey::text, indclass::text, indoption::text, indexprs::text, indpred::text HAVING count(*) > 1`);
  expect(rows).toEqual([]);
}

describe("a TPC-H-like schema", () => {
  test("beats the expert's indexes with no more of them, and each is used", async () => {
    const before = await costs(QUERIES);
    const advice = await advise(QUERIES, { max_indexes: EXPERT.length });
    expect(advice.unproven).toEqual([]);
    expect(advice.limits).toEqual([]);
    expect(advice.suggestions.length).toBeLessThanOrEqual(EXPERT.length);
    // The twin's costs are the server's: without the indexes exactly, with them but for the estimate of their size.
    expect(advice.cost.before / sum(before)).toBeWithin(0.999, 1.001);
    let ours: number[] = [];
    await built(advice.suggestions, async () => {
      ours = await costs(QUERIES);
      expect(advice.cost.after / sum(ours)).toBeWithin(0.95, 1.05);
      await expectUsed(advice.suggestions);
      await expectNoDuplicate();
      for (const { name, bytes } of advice.suggestions) {
        const { rows } = await on.client.query(
          "SELECT pg_relation_size($1::regclass)::float8 AS bytes",
          [name],
        );
        // How many pairs of values there are is not known of columns that depend on each other: then it is too large.
        expect(bytes / rows[0].bytes, name).toBeWithin(0.7, 4);
      }
    });
    await on.client.query("BEGIN");
    for (const sql of EXPERT) await on.client.query(sql);
    const expert = await costs(QUERIES);
    await on.client.query("ROLLBACK");
    expect(sum(ours)).toBeLessThanOrEqual(sum(expert));
  });
  test("a budget is kept, and still pays", async () => {
    const budget = 2_000_000;
    const advice = await advise(QUERIES, { budget: "2000000B" });
    expect(advice.bytes).toBeLessThanOrEqual(budget);
    expect(advice.suggestions.length).toBeGreaterThan(0);
    expect(advice.cost.after).toBeLessThan(advice.cost.before / 2);
  });
});

describe("a pgbench-like schema", () => {
  const statements = [
    "UPDATE pgbench_accounts SET abalance = abalance + 5 WHERE aid = 4711",
    "SELECT abalance FROM pgbench_accounts WHERE aid = 4711",
    "UPDATE pgbench_tellers SET tbalance = tbalance + 5 WHERE tid = 7",
    "UPDATE pgbench_branches SET bbalance = bbalance + 5 WHERE bid = 1",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, 4711, 5, '2025-01-01')",
    "SELECT * FROM pgbench_history WHERE aid = 4711",
  ];
  const expert = [
    "CREATE INDEX ON pgbench_accounts (aid)",
    "CREATE INDEX ON pgbench_history (aid)",
  ];
  test("the key, and nothing on tables of a page", async () => {
    const advice = await advise(statements);
    expect(advice.suggestions.map((one) => one.definition).toSorted()).toEqual([
      "ON public.pgbench_accounts USING btree (aid)",
      "ON public.pgbench_history USING btree (aid)",
    ]);
    // What a shell makes of the command is what `index create` is to be given.
    for (const { command, statements: build } of advice.suggestions) {
      const typed = Bun.spawnSync(["sh", "-c", `pgdba() { printf '%s\\n' "$@"; }; ${command}`]);
      expect(typed.stdout.toString()).toStartWith(
        `index\ncreate\n--definition\n${build.join("\n")}\n`,
      );
    }
    await built(advice.suggestions, async () => {
      await expectUsed(advice.suggestions);
      const ours = sum(await costs(statements));
      await on.client.query(
        `BEGIN; DROP INDEX ${advice.suggestions.map((one) => one.name).join(", ")}; ${expert.join("; ")}`,
      );
      expect(ours).toBeLessThanOrEqual(sum(await costs(statements)) * 1.001);
      await on.client.query("ROLLBACK");
    });
  });
  test("writes count wherever they stand in a statement", async () => {
    const read = { sql: statements[5], calls: 1000 };
    for (const sql of [
      "INSERT INTO pgbench_history (tid, aid) VALUES (7, 4711)",
      "WITH new AS (INSERT INTO pgbench_history (tid, aid) VALUES (7, 4711) RETURNING aid) SELECT aid FROM new, pgbench_branches",
      "MERGE INTO pgbench_history h USING (VALUES (1)) v (aid) ON h.tid = v.aid WHEN NOT MATCHED THEN INSERT (tid, aid) VALUES (1, v.aid)",
    ]) {
      const more = { workload: [{ sql, calls: 50 }, read], min_improvement: 0 };
      const advice = (await suggest.run(on.context(), more)) as unknown as Advice;
      const found = advice.suggestions.find((one) => one.definition.includes("(aid)"));
      expect(found?.write_overhead.rows, sql).toBe(50);
    }
  });
  test("what is written more than it is read is not indexed", async () => {
    const more = {
      workload: [
        { sql: statements[4], calls: 1_000_000 },
        { sql: statements[5], calls: 10 },
      ],
    };
    const advice = (await suggest.run(on.context(), more)) as unknown as Advice;
    expect(advice.suggestions).toEqual([]);
  });
});

describe("kinds of indexes", () => {
  const cases: [string, string, string][] = [
    [
      "an expression as it stands",
      "SELECT * FROM users WHERE lower(email) = 'user77@example.org'",
      "ON public.users USING btree (lower(email))",
    ],
    [
      "a constant predicate that keeps few rows",
      "SELECT id FROM users WHERE status = 'failed' ORDER BY at DESC LIMIT 5",
      "WHERE (status = 'failed')",
    ],
    [
      "an array",
      "SELECT * FROM users WHERE tags @> ARRAY['t7']",
      "ON public.users USING gin (tags)",
    ],
    [
      "a sub-select's column",
      "SELECT n_name FROM nation WHERE n_nationkey = 3 AND EXISTS (SELECT FROM users WHERE at = '2025-01-05')",
      "USING btree (at)",
    ],
    [
      "a view's table",
      "SELECT * FROM recent WHERE email = 'User5@example.org'",
      "USING btree (email)",
    ],
  ];
  test("each is found, and used by the server", async () => {
    await on.client.query("CREATE VIEW recent AS SELECT * FROM users WHERE at > '2025-01-02'");
    const advice = await advise(
      cases.map(([, sql]) => sql),
      { min_improvement: 0 },
    );
    for (const [what, sql, definition] of cases) {
      const found = advice.suggestions.filter((one) => one.used_by.includes(sql));
      expect(found.map((one) => one.definition).join("; "), what).toContain(definition);
    }
    await built(advice.suggestions, () => expectUsed(advice.suggestions));
  });
  test("an index that is there already is not suggested again", async () => {
    expect(
      (await advise(["SELECT * FROM users WHERE name = 'n7'", "SELECT * FROM users WHERE id = 7"]))
        .suggestions,
    ).toEqual([]);
  });
  test("nor one that differs from it in nothing but how it is written", async () => {
    await on.client.query(`CREATE TABLE d (id int PRIMARY KEY, amt int, s text, k int);
      INSERT INTO d SELECT i, i % 900, 's' || i, i % 5 FROM generate_series(1, 40000) i;
      CREATE INDEX d_amt ON d (amt DESC NULLS LAST); CREATE INDEX d_lower ON d (lower(s)); CREATE INDEX d_part ON d (id) WHERE k = 3; CREATE INDEX d_pattern ON d (s text_pattern_ops)`);
    // Bloated, so that a fresh copy of it would be cheaper.
    await on.client.query("ALTER INDEX d_lower SET (fillfactor = 10); REINDEX INDEX d_lower");
    await on.client.query("VACUUM ANALYZE d");
    const statements = [
      "SELECT * FROM d ORDER BY amt DESC NULLS LAST LIMIT 50",
      "SELECT * FROM d WHERE lower(s) = 's7'",
      "SELECT id FROM d WHERE k = 3 ORDER BY id LIMIT 5",
    ];
    const before = await costs(statements);
    const advice = await advise(statements, { min_improvement: 0 });
    expect(advice.cost.before / sum(before)).toBeWithin(0.99, 1.01);
    expect(advice.suggestions.map((one) => one.definition)).not.toContain(
      "ON public.d USING btree (lower(s))",
    );
    await built(advice.suggestions, expectNoDuplicate);
    // An operator class of its own is no prefix of anything.
    const other = await advise(["SELECT s, id FROM d WHERE s = 's9' ORDER BY id"], {
      min_improvement: 0,
    });
    expect(other.suggestions.flatMap((one) => one.replaces)).toEqual([]);
    expect(other.removable.map((one) => one.index)).not.toContain("public.d_pattern");
  });
  test("an index that a partition has by itself stays there, whatever is pretended for the whole", async () => {
    await on.client
      .query(`CREATE TABLE ev (at date NOT NULL, kind int NOT NULL, note text) PARTITION BY RANGE (at);
      CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-02-01'); CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
      INSERT INTO ev SELECT date '2024-01-01' + i % 60, i % 300, 'n' FROM generate_series(1, 60000) i; CREATE INDEX ev_1_kind ON ev_1 (kind)`);
    await on.client.query("VACUUM ANALYZE ev");
    const statements = [
      "SELECT * FROM ev WHERE at = '2024-01-09' AND kind = 7",
      "SELECT * FROM ev_1 WHERE kind = 9",
      "SELECT * FROM ev WHERE kind = 7",
    ];
    const real = await costs(statements);
    const advice = await advise(statements);
    for (const { sql, cost_before } of advice.queries)
      expect(cost_before / real[statements.indexOf(sql)]!, sql).toBeWithin(0.99, 1.01);
    for (const { command, statements: build } of advice.suggestions)
      expect(command === null).toBe(build.length > 1);
    await built(advice.suggestions, expectNoDuplicate);
  });
  test("what could go is named, and what a query needs is not", async () => {
    const advice = await advise([
      "SELECT * FROM users WHERE name = 'n7' AND at > '2025-01-05'",
      "SELECT * FROM users WHERE id = 7",
    ]);
    expect(advice.removable).toEqual([
      expect.objectContaining({
        index: "public.users_name",
        reason: expect.stringContaining("public.users_name_at"),
        statement: "DROP INDEX CONCURRENTLY public.users_name",
      }),
    ]);
  });
});

describe("the workload", () => {
  test("from pg_stat_statements, by calls, with one statement's queryid, and with SELECTs alone", async () => {
    await on.client.query("CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()");
    for (let n = 0; n < 5; n++)
      await on.client.query(
        "SELECT * FROM users WHERE email = $1 AND at > now() - interval '3 days'",
        [`User${n}@example.org`],
      );
    await on.client.query("SELECT count(*) FROM users WHERE lower(name) = 'n7'");
    const log = join(on.server.dataDir, "../log");
    const before = (await Bun.file(log).text()).length;
    const advice = (await suggest.run(on.context(), {})) as unknown as Advice;
    const sent = [
      ...(await Bun.file(log).text())
        .slice(before)
        .matchAll(/LOG: {2}(?:statement|execute [^:]*): *\s*(\S+)/g),
    ].map((match) => match[1]);
    // A text that can't be shown here ends a savepoint, and not the reading.
    const reading = ["BEGIN", "ROLLBACK", "SAVEPOINT", "SELECT", "SET", "SHOW", "WITH"];
    expect([...new Set(sent)].toSorted()).toEqual(reading);
    expect(advice.workload.source).toBe("pg_stat_statements");
    const emails = advice.queries.find((query) => query.sql.includes("email ="));
    expect(emails?.calls).toBe(5);
    expect(emails?.cost_after).toBeLessThan(emails!.cost_before / 10);
    const { rows } = await on.client.query(
      "SELECT queryid::text FROM pg_stat_statements WHERE query LIKE 'SELECT count(*) FROM users%'",
    );
    const one = (await suggest.run(on.context(), {
      queryid: rows[0].queryid,
    })) as unknown as Advice;
    expect(one.suggestions.map((each) => each.definition)).toEqual([
      expect.stringContaining("(lower(name)"),
    ]);
  });
  test("from a file; what can't be planned is unproven", async () => {
    const file = join(on.stateDir, "workload.sql");
    await writeFile(
      file,
      "SELECT * FROM users WHERE email = 'ä';\n-- a comment\nSELECT nothing FROM users;\nVACUUM;\nSELECT 1;\n",
    );
    const advice = (await suggest.run(on.context(), { workload_file: file })) as unknown as Advice;
    expect(advice.queries.map((query) => query.sql)).toEqual([
      "SELECT * FROM users WHERE email = 'ä'",
    ]);
    expect(advice.unproven).toEqual([
      {
        sql: "SELECT nothing FROM users",
        reason: 'column "nothing" does not exist',
        position: 8,
        hint: null,
      },
    ]);
  });
  test("one whose tables are not there is named, the system's own are not", async () => {
    const advice = await advise([
      "SELECT * FROM users WHERE email = 'x'",
      "SELECT * FROM gone WHERE id = 1",
      "SELECT * FROM pg_class WHERE relname = 'x'",
      "/* app */ COPY (SELECT * FROM users) TO STDOUT",
      "CREATE TEMP TABLE copied AS SELECT * FROM users",
      "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "DEALLOCATE $1",
    ]);
    expect(advice.unproven).toEqual([
      expect.objectContaining({ reason: expect.stringContaining("part of another command") }),
      expect.objectContaining({ reason: expect.stringContaining("part of another command") }),
      expect.objectContaining({
        sql: "SELECT * FROM gone WHERE id = 1",
        reason: expect.stringContaining("gone"),
      }),
    ]);
    expect(advice.queries).toHaveLength(1);
  });
  test("only the tables that are asked for", async () => {
    const advice = await advise([...QUERIES, "SELECT * FROM users WHERE email = 'x'"], {
      tables: ["public.users"],
    });
    expect(advice.suggestions.map((one) => one.table)).toEqual(["public.users"]);
  });
});
