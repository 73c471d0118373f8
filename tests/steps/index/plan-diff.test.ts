import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import diff from "../../../steps/index/plan-diff.ts";
import { codeOf, openSession, specOf } from "../../providers/postgres/helpers.ts";
import { type Bench, bench } from "./support.ts";
import { accessFor, onSession } from "../../support/target.ts";

setDefaultTimeout(300_000);

let on: Bench;

beforeAll(async () => {
  on = await bench({ random_page_cost: "4", shared_preload_libraries: "pg_stat_statements" });
  await on.client.query(
    `CREATE TABLE t (id int PRIMARY KEY, k int, filler text); INSERT INTO t SELECT i, (i * 7919) % 20000, repeat('x', 200) FROM generate_series(1, 20000) i; CREATE INDEX t_k ON t (k)`,
  );
  await on.client.query("VACUUM ANALYZE t");
});

afterAll(() => on?.stop());

const SCAN = "SELECT * FROM t WHERE k < 3500 ORDER BY k";
const KEY = "SELECT * FROM t WHERE id = 7";
const workload = [{ sql: SCAN, calls: 3 }, { sql: KEY }];

async function shape(sql: string): Promise<string> {
  return (await on.client.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows[0]["QUERY PLAN"][0].Plan[
    "Node Type"
  ];
}

test("names the statement whose plan changes, as the server confirms", async () => {
  const output = await diff.run(on.context(), {
    workload,
    settings: { random_page_cost: 0.5, shared_buffers: "1GB", work_mem: "nonsense" },
  });
  expect(output.changed).toHaveLength(1);
  const [changed] = output.changed;
  expect(changed).toMatchObject({ sql: SCAN, calls: 3 });
  expect(changed.plan_before.startsWith(await shape(SCAN))).toBe(true);
  await on.client.query("SET random_page_cost = 0.5");
  expect(changed.plan_after.startsWith(await shape(SCAN))).toBe(true);
  expect(changed.cost_after).toBe(await on.cost(SCAN));
  await on.client.query("RESET random_page_cost");
  expect(output).toMatchObject({
    statements: 2,
    settings: { random_page_cost: "0.5" },
    unproven: [],
    limits: [],
  });
  expect(output.ignored.map((one: { name: string }) => one.name)).toEqual([
    "shared_buffers",
    "work_mem",
  ]);
});

test("settings from a file, and what config.tune gives", async () => {
  const conf = join(on.stateDir, "tuned.conf");
  await writeFile(conf, "# tuned\nrandom_page_cost = 0.5 # SSD\nenable_sort = 'on'\n");
  const output = await diff.run(on.context(), { workload, settings_file: conf });
  expect(output.settings).toEqual({ random_page_cost: "0.5", enable_sort: "on" });
  expect(output.changed).toHaveLength(1);
  const tuned = await diff.run(on.context(), {
    workload,
    settings: { random_page_cost: { value: "4", reason: "disk" } },
  });
  expect(tuned.changed).toEqual([]);
});

test("one by one, the last winning; a file of any kind that config tune prints", async () => {
  const file = join(on.stateDir, "tuned");
  await writeFile(
    file,
    JSON.stringify({ data: { settings: { random_page_cost: { value: 0.5, reason: "SSD" } } } }),
  );
  const from = { workload, settings_file: file };
  expect((await diff.run(on.context(), from)).settings).toEqual({ random_page_cost: "0.5" });
  const set = ["Random_Page_Cost = 4", "work_mem=64MB", "shared_buffers=1GB"];
  const output = await diff.run(on.context(), { ...from, set });
  expect(output.settings).toEqual({ random_page_cost: "4", work_mem: "64MB" });
  expect(output.changed).toEqual([]);
  expect(output.ignored).toEqual([
    { name: "shared_buffers", reason: expect.stringContaining("no plan") },
  ]);
});

test("who may not see others' statements is told what would show them", async () => {
  await on.client.query(
    `CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE ROLE plain LOGIN PASSWORD 'x'; GRANT SELECT ON t TO plain; ${KEY}`,
  );
  const own = await openSession({ ...specOf(on.server), user: "plain", password: () => "x" });
  try {
    await own.query("SELECT * FROM t WHERE k = 5");
    const ctx = on.context();
    const { use } = onSession(own, specOf(on.server));
    const output = await diff.run(
      { ...ctx, use: (what) => use!(what, accessFor()) as never },
      { set: ["work_mem=1MB"] },
    );
    expect(output.statements).toBe(1);
    expect(ctx.recorded.warnings.join()).toContain('GRANT pg_read_all_stats TO "plain"');
  } finally {
    await own.close();
  }
});

test("another version: this one's plans are its own", async () => {
  const output = await diff.run(on.context(), {
    workload: [...workload, { sql: "SELECT * FROM t WHERE k = $1" }],
    pg_version: 18,
  });
  expect(output).toMatchObject({ changed: [], statements: 3, unproven: [] });
  expect(output.cost.after).toBeCloseTo(output.cost.before, 1);
});

test("nothing to compare with is said", async () => {
  expect(await codeOf(diff.run(on.context(), { workload }))).toBe("invalid_param");
  const file = join(on.stateDir, "bad.conf");
  await writeFile(file, "what is this\n;\n");
  expect(await codeOf(diff.run(on.context(), { workload, settings_file: file }))).toBe(
    "invalid_param",
  );
});
