import { describe, expect, setDefaultTimeout, test } from "bun:test";
import suggest from "../../../steps/index/suggest.ts";
import { bench } from "./support.ts";

setDefaultTimeout(300_000);

/** On 18 one index on (kind, up) serves both; before, nothing can skip its first column, and the join needs one of its own. */
const STATEMENTS = [
  "SELECT b.* FROM a JOIN b ON b.up = a.id WHERE a.id = 17",
  "SELECT * FROM b WHERE kind = 3 AND up = 99",
  "SELECT * FROM b WHERE kind = $1 AND up < $2",
];

describe.each([13, 16, 18] as const)("index advice for a server of version %d", (version) => {
  test("is what that server's planner uses, at the cost that was foreseen", async () => {
    const on = await bench({}, { version });
    try {
      await on.client
        .query(`CREATE TABLE a (id int PRIMARY KEY, note text); INSERT INTO a SELECT i, 'n' FROM generate_series(1, 5000) i;
        CREATE TABLE b (id int PRIMARY KEY, up int NOT NULL, kind int NOT NULL, note text);
        INSERT INTO b SELECT i, 1 + (i::bigint * 7919) % 5000, i % 12, repeat('n', 40) FROM generate_series(1, 60000) i`);
      await on.client.query("VACUUM ANALYZE");
      const advice = (await suggest.run(on.context(), {
        workload: STATEMENTS.map((sql) => ({ sql })),
      })) as unknown as {
        suggestions: { name: string; statements: string[]; used_by: string[] }[];
        queries: { sql: string; cost_before: number; cost_after: number }[];
        limits: unknown[];
      };
      expect(advice.limits).toEqual([]);
      expect(advice.suggestions.length).toBeGreaterThan(0);
      const constant = advice.queries.filter(({ sql }) => !sql.includes("$"));
      for (const { sql, cost_before } of constant) expect(await on.cost(sql)).toBe(cost_before);
      for (const { statements } of advice.suggestions)
        for (const sql of statements) await on.client.query(sql);
      for (const { sql, cost_after } of constant)
        expect((await on.cost(sql)) / cost_after, sql).toBeWithin(0.9, 1.1);
      for (const { name, used_by } of advice.suggestions) {
        const plans = await Promise.all(
          used_by
            .filter((sql) => !sql.includes("$"))
            .map(async (sql) =>
              JSON.stringify((await on.client.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows),
            ),
        );
        expect(plans.join(), name).toContain(`"Index Name":"${name}"`);
      }
    } finally {
      await on.stop();
    }
  });
});
