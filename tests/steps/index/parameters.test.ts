import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { nodesOf } from "../../../providers/planner/twin/twin.ts";
import suggest from "../../../steps/index/suggest.ts";
import { planOfQuery, serverPlan } from "../../../steps/index/advise/server-plan.ts";
import { openSession, type PgSession, specOf } from "../../providers/postgres/helpers.ts";
import { binariesOf, debianWithHypopg } from "../../support/debian.ts";
import { type Bench, bench } from "./support.ts";

setDefaultTimeout(300_000);

const SCHEMA = `CREATE EXTENSION pg_stat_statements; CREATE TYPE mood AS ENUM ('ok', 'bad');
  CREATE TABLE t (a int, b bigint, note text, amount numeric(10,2), d date, ts timestamptz, j jsonb, m mood, tags text[]);
  INSERT INTO t SELECT i, i, 'n' || i, i, date '2024-01-01' + i % 400, timestamptz '2024-01-01' + i * interval '1 minute', '{}', 'ok', '{a}'
    FROM generate_series(1, 20000) i;
  ANALYZE t`;

/** Statements that the server can't plan from the text which pg_stat_statements keeps of them. */
const LOST = [
  // No type, or one for which there is nothing.
  "SELECT sum(CASE WHEN a = 1 THEN 2 ELSE 3 END) FROM t",
  "SELECT 100.0 * sum(CASE WHEN a = 1 THEN 1 ELSE 0 END) / count(*), avg(CASE WHEN b = 2 THEN 2.5 END) FROM t",
  "SELECT a FROM t GROUP BY a HAVING sum(CASE WHEN b = 1 THEN 1 ELSE 0 END) > 3",
  "SELECT * FROM t WHERE d > current_date - 30",
  "SELECT * FROM t WHERE ts > date_trunc('month', current_date - 30)",
  "UPDATE t SET d = current_date - 3 WHERE a = 999999",
  "SELECT current_date - 1 - d FROM t",
  "SELECT g, 'n' || g FROM generate_series(1, 3) g JOIN t ON t.a = g",
  "SELECT CASE WHEN a > 1 THEN 1 END + 1, array_agg(7) FROM t GROUP BY a",
  "SELECT concat('é', note, 1), jsonb_build_object('a', 1, 'b', note), ('x', 1) FROM t",
  "SELECT * FROM t WHERE a = ANY (ARRAY[1, 2]) AND a = (SELECT 1)",
  "SELECT * FROM (VALUES (1, 'x'), (2, 'y')) v (i, s) JOIN t ON t.a = v.i",
  "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r JOIN t ON t.a = n",
  "SELECT * FROM (VALUES (1, 'x'), (2, 'y')) v (a, note) JOIN t USING (a, note)",
  "SELECT a FROM t UNION ALL SELECT n FROM (SELECT 1 AS n) one",
  "SELECT 2 * 3, to_char(5, '9'), percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY amount) FROM t",
  // What only a constant may be.
  "SELECT * FROM t WHERE ts > now() - interval '1' day AND d > date '2024-01-01' + 5 AND ts < timestamp '2030-01-01 00:00'",
  "SELECT extract(year FROM ts), interval(3) '1.5 second', mood 'ok', money '1', numeric(5,2) '1.5' FROM t",
  // The same constant in two places.
  "SELECT date_trunc('day', ts), sum(CASE WHEN a = 1 THEN 2 ELSE 3 END) FROM t WHERE d > current_date - 7 GROUP BY date_trunc('day', ts) ORDER BY date_trunc('day', ts)",
  "SELECT extract(year FROM ts), a + 1, count(*) FROM t GROUP BY extract(year FROM ts), a + 1 HAVING extract(year FROM ts) > 2000",
  "SELECT DISTINCT coalesce(note, 'x') FROM t ORDER BY coalesce(note, 'x')",
  "SELECT CASE WHEN a > -5 THEN E'x\\'\\\\' ELSE 'y' END, count(*) FROM t GROUP BY CASE WHEN a > -5 THEN E'x\\'\\\\' ELSE 'y' END",
];
/** Those that it can. */
const KEPT = [
  "SELECT * FROM t WHERE a = 1 LIMIT 5 OFFSET 7",
  "SELECT date_trunc('day', ts), coalesce(note, 'x'), note || '-', round(amount, 1) FROM t WHERE a IN (1, 2)",
  "SELECT now() - '2024-01-01', array['a'], j ->> 'a', j @> '{}', substring(note FROM 1 FOR 3) FROM t WHERE tags @> array['x']",
];

/** Parameters of an application, whose types its driver told the server: not only those that constants have. */
const BOUND = [
  "SELECT * FROM unnest($1, $2) AS u (a, b) JOIN t ON t.a = u.a",
  "SELECT extract($1 FROM $2), age($3), date_part($4, $5), first_value($6) OVER () FROM t",
  "SELECT v.n + 1 FROM (SELECT CASE WHEN a = 1 THEN $1 ELSE $2 END AS n FROM t) v",
  "INSERT INTO t (a, d) SELECT $1, current_date - $2 FROM t UNION ALL SELECT $3, $4",
];

describe.each([13, 18] as const)("statements as pg_stat_statements of %d keeps them", (version) => {
  let on: Bench;
  let session: PgSession;
  const opened: PgSession[] = [];
  const another = async (): Promise<PgSession> => {
    const one = await openSession(specOf(on.server));
    opened.push(one);
    return one;
  };
  const recorded: string[] = [];

  beforeAll(async () => {
    on = await bench({ shared_preload_libraries: "pg_stat_statements" }, { version });
    await on.client.query(SCHEMA);
    session = await another();
    for (const sql of [...LOST, ...KEPT]) {
      await on.client.query("SELECT pg_stat_statements_reset()");
      await on.client.query(sql);
      const { rows } = await on.client.query(
        "SELECT query FROM pg_stat_statements WHERE query !~ 'pg_stat_statements'",
      );
      expect(rows, sql).toHaveLength(1);
      recorded.push(rows[0].query);
    }
  });
  afterAll(async () => {
    for (const one of opened) await one.close();
    await on?.stop();
  });

  test("are lost without types, and planned with those that fit", async () => {
    for (const [at, sql] of recorded.entries()) {
      const without = on.client.query(`PREPARE lost AS ${sql}`).then(
        () => "planned",
        () => "lost",
      );
      expect(await without, sql).toBe(at < LOST.length ? "lost" : "planned");
      await on.client.query("DEALLOCATE ALL");
      const plan = await serverPlan(session, sql, { another });
      const scans = nodesOf(plan).filter((node) => node["Relation Name"] === "t");
      expect(scans.length, sql).toBeGreaterThan(0);
    }
    for (const sql of BOUND) await serverPlan(session, sql, { another });
    expect(
      (await session.query("SELECT count(*)::int AS n FROM pg_prepared_statements")).rows,
    ).toEqual([{ n: 0 }]);
  });

  test("so is a query that is given beside an index; where that can't be, its values are asked for", async () => {
    const ctx = on.context();
    const sum = "SELECT sum(CASE WHEN a = $1 THEN $2 ELSE $3 END) FROM t";
    expect((await planOfQuery(ctx, sum))["Node Type"]).toBe("Aggregate");
    const error: any = await planOfQuery(ctx, "SELECT missing($1) FROM t").catch(
      (thrown: unknown) => thrown,
    );
    expect(error.code).toBe("invalid_param");
    expect(error.hint).toStartWith("Give the query with values in the place of $1");
    await ctx.close();
  });

  test("all count in index advice", async () => {
    const workload = recorded.map((sql) => ({ sql }));
    const advice: any = await suggest.run(on.context(), { workload });
    expect(advice.unproven).toEqual([]);
    expect(advice.queries).toHaveLength(recorded.length);
  });

  test("for those that nothing fits it says what the server said, where, and what would help", async () => {
    const cases: [string, RegExp, string | null, RegExp | null][] = [
      // No function of this name takes anything; the sum before it is no trouble.
      [
        "SELECT 'é', sum(CASE WHEN a = $1 THEN $2 ELSE $3 END) FROM t WHERE missing(interval $4, $5) > b",
        /^function missing\(interval, unknown\) does not exist$/,
        "missing(",
        /\$5.*--workload FILE/,
      ],
      // Not for lack of types.
      [
        "SELECT missing(a), sum(CASE WHEN a = $1 THEN $2 ELSE $3 END) FROM t",
        /^function missing\(integer\) does not exist$/,
        "missing(",
        null,
      ],
      [
        "SELECT sum(CASE WHEN a = $1 THEN $2 ELSE $3 END) FROM t WHERE nothing = $4",
        /^column "nothing" does not exist$/,
        "nothing",
        null,
      ],
    ];
    const workload = cases.map(([sql]) => ({ sql }));
    const advice: any = await suggest.run(on.context(), { workload });
    expect(advice.unproven).toHaveLength(cases.length);
    for (const [at, [sql, reason, where, hint]] of cases.entries()) {
      const found = advice.unproven[at];
      expect(found).toMatchObject({ sql, reason: expect.stringMatching(reason) });
      expect([...sql].slice(found.position - 1).join("")).toStartWith(where ?? "");
      if (hint === null) expect(found.hint).toBeNull();
      else expect(found.hint).toMatch(hint);
      const thrown: any = await serverPlan(session, sql, { another }).catch(
        (error: unknown) => error,
      );
      expect(thrown.message).toMatch(reason);
      expect(Number(thrown.data.position)).toBe(found.position);
    }
  });
});

const found = debianWithHypopg();
const why = typeof found === "string" ? ` (skipped: ${found})` : "";
test.skipIf(typeof found === "string")(`hypopg proves them too${why}`, async () => {
  if (typeof found === "string") return;
  const settings = { shared_preload_libraries: "pg_stat_statements" };
  const on = await bench(settings, { version: found.version, binaries: binariesOf(found) });
  try {
    await on.client.query(`${SCHEMA}; CREATE EXTENSION hypopg`);
    await on.client.query("SELECT pg_stat_statements_reset()");
    for (const sql of LOST) await on.client.query(sql);
    const advice: any = await suggest.run(on.context(), { prove: "hypopg" });
    expect(advice.unproven).toEqual([]);
    expect(advice.queries.filter(({ sql }: { sql: string }) => sql.includes("$"))).toHaveLength(
      LOST.length,
    );
    const sql = "SELECT sum($1) FROM t WHERE missing($2) > b";
    const [unproven] = (
      (await suggest.run(on.context(), { prove: "hypopg", workload: [{ sql }] })) as any
    ).unproven;
    expect(unproven).toMatchObject({
      reason: "function missing(unknown) does not exist",
      position: sql.indexOf("missing") + 1,
      hint: expect.stringContaining("$2"),
    });
  } finally {
    await on.stop();
  }
});
