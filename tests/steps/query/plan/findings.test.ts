import { describe, expect, test } from "bun:test";
import { FINDING_CODES, type FindingCode } from "../../../../steps/query/plan/finding.ts";
import { draw } from "../../../../steps/query/plan/draw.ts";
import { parsePlan } from "../../../../steps/query/plan/parse.ts";
import { findings } from "../../../../steps/query/plan/findings.ts";
import { captured, examine, names } from "./load.ts";

/** What the plan of that name must show: the code, where, and figures of the evidence. */
const SHOWN: [name: string, code: FindingCode, title: string | null, evidence: object][] = [
  ["misestimate", "misestimate", "Seq Scan on places", { direction: "under", actual_rows: 2000 }],
  ["misestimate-13", "misestimate", "Seq Scan on places", { direction: "under" }],
  // The join above is as wrong, but it is the scan where it starts.
  [
    "misestimate-above",
    "misestimate",
    "Seq Scan on places p",
    { worst_at: expect.stringMatching(/^1/) },
  ],
  [
    "filter-discards",
    "filter_discards",
    "Seq Scan on orders",
    { rows_read: 200_000, rows_kept: 1 },
  ],
  ["filter-discards-13", "filter_discards", "Seq Scan on orders", { rows_read: 200_000 }],
  [
    "filter-discards-parallel",
    "filter_discards",
    "Parallel Seq Scan on orders",
    { loops: 3, rows_kept: 1 },
  ],
  [
    "filter-discards-estimate",
    "filter_discards",
    "Seq Scan on orders",
    { rows_kept: 1, loops: null },
  ],
  [
    "filter-discards-index-only",
    "filter_discards",
    "Index Only Scan using customers_email on customers",
    {},
  ],
  ["filter-discards-pattern", "filter_discards", "Seq Scan on customers", {}],
  ["sort-spill", "sort_spill", "Sort", { rows: 200_000, work_mem_kb: 512, sorts: 1 }],
  ["sort-spill-13", "sort_spill", "Sort", { rows: 200_000, method: "external merge" }],
  ["sort-spill-parallel", "sort_spill", "Sort", { sorts: 3 }],
  ["sort-spill-incremental", "sort_spill", "Incremental Sort", { rows: 200_000 }],
  ["hash-spill", "hash_spill", "Hash", { rows: 150_000 }],
  ["aggregate-spill", "aggregate_spill", "HashAggregate", { groups: 200_000 }],
  ["aggregate-spill-13", "aggregate_spill", "HashAggregate", { groups: 200_000 }],
  [
    "nested-loop-scan",
    "nested_loop_scan",
    "Seq Scan on bands b",
    { loops: 2000, rows_visited: 1_000_000 },
  ],
  ["nested-loop-scan-material", "nested_loop_scan", "Materialize", { loops: 2000 }],
  [
    "nested-loop-index",
    "nested_loop_index",
    "Index Scan using orders_customer on orders o",
    { loops: 150_000, outer_rows: 150_000 },
  ],
  ["sub-plan-loops", "sub_plan_loops", "Aggregate", { loops: 150_000, tables: ["orders"] }],
  ["sub-plan-loops-seq", "sub_plan_loops", "Aggregate", { loops: 2000, tables: ["bands"] }],
  ["bitmap-lossy", "bitmap_lossy", "Bitmap Heap Scan on orders", { work_mem_kb: 64 }],
  [
    "bitmap-lossy-parallel",
    "bitmap_lossy",
    "Parallel Bitmap Heap Scan on orders",
    { work_mem_kb: 64 },
  ],
  [
    "heap-fetches",
    "heap_fetches",
    "Index Only Scan using dirty_pkey on dirty",
    { rows_visited: 49_900 },
  ],
  [
    "cte-filter-late",
    "cte_filter_late",
    "CTE Scan on everything",
    { rows_read: 200_000, rows_removed: 199_999 },
  ],
  [
    "function-on-column",
    "function_on_column",
    "Seq Scan on customers",
    { column: "email", index: "customers_email" },
  ],
  [
    "function-on-column-estimate",
    "function_on_column",
    "Seq Scan on orders",
    { column: "customer_id" },
  ],
  [
    "cast-on-column",
    "cast_on_column",
    "Seq Scan on orders",
    { column: "id", cast: "text", type: "bigint" },
  ],
  [
    "cast-on-column-numeric",
    "cast_on_column",
    "Seq Scan on orders",
    { cast: "numeric", type: "integer" },
  ],
  ["large-offset", "large_offset", "Limit", { rows_skipped: 50_000, rows_returned: 10 }],
  ["large-offset-estimate", "large_offset", "Limit", { rows_skipped: 50_000, rows_returned: null }],
  ["jit-cost", "jit_cost", null, { functions: expect.any(Number) }],
  ["jit-cost-parallel", "jit_cost", null, { workers_ms: expect.any(Number) }],
  [
    "workers-not-launched",
    "workers_not_launched",
    "Gather",
    { workers_planned: 2, workers_launched: 0 },
  ],
  ["planning-time", "planning_time", null, {}],
  ["trigger-time", "trigger_time", null, { constraint: "children_parent", calls: 200 }],
  ["statistics-missing", "statistics_missing", "Seq Scan on fresh", { has_statistics: false }],
  ["statistics-stale", "statistics_stale", "Seq Scan on grown", { modified: 20_000 }],
];

const codeOf = (name: string) =>
  FINDING_CODES.find((code) => name.startsWith(code.replaceAll("_", "-")));

describe("what a plan shows is found", () => {
  test.each(SHOWN)("%s: %s", async (name, code, title, evidence) => {
    const { found } = await examine(name);
    const finding = found.find((one) => one.code === code);
    expect(finding?.node?.title ?? null).toBe(title);
    expect(finding?.evidence).toMatchObject(evidence);
    expect(finding?.advice.length).toBeGreaterThan(40);
    expect(finding?.message).not.toContain("NaN");
  });
});

test("what is advised fits what the filter compares", async () => {
  const adviceOn = async (name: string) =>
    (await examine(name)).found.find(({ code }) => code === "filter_discards")?.advice;
  expect(await adviceOn("filter-discards")).toStartWith("Create an index on the columns of orders");
  expect(await adviceOn("filter-discards-index")).toStartWith("Extend orders_status by note");
  expect(await adviceOn("filter-discards-correlated")).toContain("(total, note)");
  for (const name of ["filter-discards-index-only", "filter-discards-pattern"])
    expect(await adviceOn(name)).toMatch(/^A pattern .*pg_trgm.*\(email gin_trgm_ops\)\.$/);
  expect(await adviceOn("function-on-column")).toMatch(/^Compare email itself, or .*expression/);
  expect(await adviceOn("cast-on-column")).toContain("Compare id itself, not cast to text");
  expect(await adviceOn("filter-discards-varchar")).not.toContain("Create an index on the columns");
});

test("why no hash join: what was estimated, what is off", async () => {
  const adviceOn = async (name: string) =>
    (await examine(name)).found.find(({ code }) => code === "nested_loop_index")?.advice;
  expect(await adviceOn("nested-loop-index")).toContain(
    "enable_hashjoin and enable_mergejoin are off",
  );
  expect(await adviceOn("nested-loop-index-misestimate")).toContain("see misestimate");
});

test("compiling is never said to take more than the whole", async () => {
  const { plan, found } = await examine("jit-cost-parallel");
  expect(plan.jit?.total_ms).toBeLessThan(plan.execution_ms ?? 0);
  expect(plan.jit?.workers_ms).toBeGreaterThan(plan.execution_ms ?? 0);
  expect(plan.jit?.whose).toBe("leader");
  expect(draw(plan)).toContain(`of it JIT ${plan.jit?.total_ms?.toFixed(1)} ms`);
  // Without VERBOSE the plan does not tell whose it is.
  const { explained } = await captured("jit-cost-parallel");
  const bare = parsePlan(JSON.parse(JSON.stringify(explained).replaceAll('"Workers":', '"W":')));
  expect(draw(bare)).toMatch(/, JIT \d.* over all processes/);
  const [jit] = (await findings(bare, (await captured("jit-cost-parallel")).facts)).filter(
    ({ code }) => code === "jit_cost",
  );
  expect(jit?.message).toEndWith("in sum over all processes.");
  expect(found.find(({ code }) => code === "jit_cost")?.message).toMatch(/, \d\d %/);
});

describe("what a plan does not show is not found", () => {
  const clean = names.filter((name) => name.includes("-not") && name !== "workers-not-launched");
  test.each(clean)("%s", async (name) => {
    const { found } = await examine(name);
    expect(found.map(({ code }) => code)).not.toContain(codeOf(name) as FindingCode);
  });

  test("each code has a plan that shows it and one that does not", () => {
    const missing = FINDING_CODES.filter(
      (code) =>
        !SHOWN.some(([, shown]) => shown === code) || !clean.some((name) => codeOf(name) === code),
    );
    expect(missing).toEqual([]);
  });

  test("a seq scan that is right is no finding at all", async () => {
    for (const name of ["filter-discards-not", "filter-discards-not-small", "aggregate-spill-not"])
      expect((await examine(name)).found).toEqual([]);
  });
});

test("the worst comes first, and a short statement has nothing critical", async () => {
  const { found } = await examine("statistics-missing");
  expect(found.map(({ severity }) => severity)).toEqual(["warning", "info"]);
  const slow = await examine("jit-cost-not");
  expect(slow.found[0]).toMatchObject({ code: "nested_loop_scan", severity: "critical" });
});

test("facts that are missing or unknown hide nothing and invent nothing", async () => {
  const blind = await examine("filter-discards", (facts) => ({ ...facts, relations: [] }));
  expect(blind.found.map(({ code }) => code)).toEqual(["filter_discards"]);
  const unseen = await examine("statistics-missing", (facts) => ({
    ...facts,
    relations: facts.relations.map((one) => ({ ...one, has_statistics: null })),
  }));
  expect(unseen.found.map(({ code }) => code)).toEqual(["misestimate"]);
});

test("thresholds: just below none, at them one", async () => {
  const { explained, facts } = await captured("statistics-stale");
  const plan = parsePlan(explained);
  const at = async (modified: number, rows: number) =>
    (
      await findings(plan, {
        ...facts,
        relations: facts.relations.map((one) => ({ ...one, modified, rows })),
      })
    )
      .map(({ code }) => code)
      .filter((code) => code === "statistics_stale").length;
  expect([await at(999, 100), await at(1000, 5001), await at(1000, 5000)]).toEqual([0, 0, 1]);
});
