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
  [
    "nested-loop-scan-keyed",
    "nested_loop_scan",
    "Bitmap Heap Scan on orders o",
    { loops: 4000, rows_visited: 1_144_000 },
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
  [
    "early-stop",
    "early_stop",
    "Index Scan Backward using visits_pkey on visits",
    { rows_read: 195_010, rows_kept: 10, index: "visits_pkey" },
  ],
  ["early-stop-13", "early_stop", "Index Scan Backward using visits_pkey on visits", {}],
  ["early-stop-join", "early_stop", "Index Scan Backward using visits_pkey on visits v", {}],
  ["early-stop-max", "early_stop", "Index Scan Backward using visits_pkey on visits", {}],
  ["early-stop-exists", "early_stop", "Seq Scan on visits", { index: null, rows_kept: 0 }],
  ["early-stop-expression", "early_stop", "Index Scan using visits_pkey on visits", {}],
  [
    "early-stop-parallel",
    "early_stop",
    "Parallel Index Scan Backward using visits_pkey on visits",
    {},
  ],
  [
    "early-stop-partitions",
    "early_stop",
    "Index Scan Backward using pings_N_pkey on pings (6 partitions)",
    { partitions: 6, rows_read: 120_000 },
  ],
  [
    "early-stop-estimate",
    "early_stop",
    "Index Scan using visits_pkey on visits",
    { rows_expected: expect.any(Number) },
  ],
  [
    "unhashed-sub-plan",
    "unhashed_sub_plan",
    "Materialize",
    { loops: 1100, work_mem_kb: 64, needed_work_mem_kb: 1024 },
  ],
  ["unhashed-sub-plan-13", "unhashed_sub_plan", "Materialize", { hash_mem_multiplier: 1 }],
  ["unhashed-sub-plan-estimate", "unhashed_sub_plan", "Materialize", { time_ms: null }],
  ["unhashed-sub-plan-or", "unhashed_sub_plan", "Materialize", {}],
  ["unhashed-sub-plan-less", "unhashed_sub_plan", "Materialize", { needed_work_mem_kb: null }],
  ["unhashed-sub-plan-all", "unhashed_sub_plan", "Materialize", { needed_work_mem_kb: null }],
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
    // Which of several partitions stands for them is for the clock to say.
    expect(finding?.node?.title.replace(/pings_\d_/, "pings_N_") ?? null).toBe(title);
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

test("a scan that the planner hoped to leave early: an index that finds and orders, never a longer primary key", async () => {
  for (const name of ["early-stop", "early-stop-13", "early-stop-join", "early-stop-parallel"]) {
    const { found } = await examine(name);
    expect(found.map(({ code }) => code)).toEqual(["early_stop"]);
    expect(found[0]?.message).toMatch(
      /The planner hoped to stop early, after about [34]\d\d of 200,000 rows\.$/,
    );
    expect(found[0]?.advice).toStartWith("Create an index on visits (kind, id):");
    expect(found[0]?.advice).not.toContain("Extend");
  }
  const [exists] = (await examine("early-stop-exists")).found;
  expect(exists?.advice).toStartWith("Create an index on visits (kind, page):");
  const [estimate] = (await examine("early-stop-estimate")).found;
  expect(estimate?.message).toStartWith("The planner hopes to stop early, after about 50,");
});

test("a list that is gone through again and again is not called correlated", async () => {
  const adviceOn = async (name: string) => {
    const { found } = await examine(name);
    expect(found.map(({ code }) => code)).not.toContain("sub_plan_loops");
    return found.find(({ code }) => code === "unhashed_sub_plan")?.advice ?? "";
  };
  for (const name of ["unhashed-sub-plan", "unhashed-sub-plan-13", "unhashed-sub-plan-estimate"])
    expect(await adviceOn(name)).toMatch(/^Write NOT EXISTS .* work_mem = '1MB'/);
  expect(await adviceOn("unhashed-sub-plan-all")).toMatch(/^Write NOT EXISTS .*never hashed/);
  expect(await adviceOn("unhashed-sub-plan-or")).toMatch(/UNION.*work_mem = '1MB'/);
  expect(await adviceOn("unhashed-sub-plan-less")).toContain("by a sub-query with min(…)");
});

describe("what is found in the partitions of a table is told once", () => {
  test.each([
    ["partitions-discard", "Seq Scan on pings (6 partitions)"],
    ["partitions-discard-13", "Seq Scan on pings (6 partitions)"],
    ["partitions-discard-parallel", "Parallel Seq Scan on pings (6 partitions)"],
    ["partitions-discard-estimate", "Seq Scan on pings (6 partitions)"],
    ["partitions-update", "Seq Scan on pings (6 partitions)"],
    ["partitions-update-13", "Seq Scan on pings (6 partitions)"],
    ["partitions-join", "Seq Scan on pings a (6 partitions)"],
  ])("%s", async (name, title) => {
    const { found } = await examine(name);
    expect(found.map(({ code }) => code)).toEqual(["filter_discards"]);
    const [finding] = found;
    expect(finding?.node?.title).toBe(title);
    expect(finding?.evidence).toMatchObject({
      partitions: 6,
      rows_read: 120_000,
      rows_kept: expect.any(Number),
    });
    expect(finding?.message).toContain("6 partitions of public.pings");
    expect(finding?.advice).toMatch(/^Create an index on the columns of pings .*\(note\).*ON ONLY/);
  });

  test("what concerns each by itself: the worst, with the number of the others", async () => {
    const { found } = await examine("partitions-sort-each");
    const spills = found.filter(({ code }) => code === "sort_spill");
    expect(spills.map(({ evidence }) => evidence.partitions)).toEqual([6, 6]);
    expect(spills[0]?.message).toEndWith("The same in 5 other partitions of public.pings.");
  });

  test("statistics of partitions", async () => {
    const { explained, facts } = await captured("partitions-discard");
    const without = (some: (name: string) => boolean) => ({
      ...facts,
      relations: facts.relations.map((one) => ({
        ...one,
        has_statistics: some(one.name) ? false : one.has_statistics,
      })),
    });
    const of = async (some: (name: string) => boolean) =>
      (await findings(parsePlan(explained), without(some))).filter(
        ({ code }) => code === "statistics_missing",
      );
    const [all, ...more] = await of(() => true);
    expect(more).toEqual([]);
    expect(all).toMatchObject({ evidence: { partitions: 6 } });
    expect(all?.advice).toStartWith("ANALYZE public.pings;");
    const [one] = await of((name) => name === "pings_3");
    expect(one?.message).toStartWith("public.pings_3 has no statistics");
    expect(one?.advice).toStartWith("ANALYZE public.pings_3;");
  });
});

test("a hash join that ends since its hash is empty has misjudged nothing", async () => {
  const { found } = await examine("partitions-join");
  expect(found.map(({ code }) => code)).not.toContain("misestimate");
});

test("a recursion that is misjudged is told where it is, not where it is read", async () => {
  const { found } = await examine("recursive");
  expect(found.map(({ node }) => node?.title)).toEqual(["Recursive Union"]);
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
