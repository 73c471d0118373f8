import { describe, expect, test } from "bun:test";
import type { Json } from "../../../../engine/types.ts";
import { draw } from "../../../../steps/query/plan/draw.ts";
import { parsePlan } from "../../../../steps/query/plan/parse.ts";
import { type PlanNode, walk } from "../../../../steps/query/plan/tree.ts";
import { captured, examine, names } from "./load.ts";

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
const find = (root: PlanNode, title: string) =>
  [...walk(root)].find((node) => node.title === title) as PlanNode;

describe("time where it is spent", () => {
  test.each(names)("%s: the nodes' own times add up to the whole, nothing twice", async (name) => {
    const { plan } = await examine(name);
    const whole = plan.root.actual?.time_ms;
    if (whole === undefined || whole === null) return expect(plan.analyzed).toBe(false);
    // EXPLAIN rounds the time of a loop to a microsecond.
    const rounding = 0.0006 * sum([...walk(plan.root)].map((node) => node.actual?.loops ?? 0));
    const own = sum([...walk(plan.root)].map((node) => node.actual?.own_ms ?? 0));
    expect(Math.abs(own - whole)).toBeLessThanOrEqual(0.02 * whole + rounding);
    expect(plan.execution_ms).toBeGreaterThanOrEqual(whole);
  });

  test.each(names)(
    "%s: shares add up to no more than the whole, costs to just it",
    async (name) => {
      const { plan } = await examine(name);
      const nodes = [...walk(plan.root)];
      expect(sum(nodes.map(({ actual }) => actual?.share ?? 0))).toBeLessThanOrEqual(1.001);
      const own = sum(nodes.map(({ estimated }) => estimated.own_cost));
      expect(Math.abs(own - plan.root.estimated.total_cost)).toBeLessThanOrEqual(
        0.01 * nodes.length,
      );
    },
  );

  test.each(names)("%s: so do the buffers", async (name) => {
    const { plan } = await examine(name);
    const { explained } = await captured(name);
    const raw = (explained as { Plan: { [key: string]: Json } }[])[0]?.Plan;
    if (plan.root.buffers === null) return expect(raw?.["Shared Hit Blocks"]).toBeUndefined();
    const read = sum(
      [...walk(plan.root)].map(
        ({ buffers }) => (buffers?.shared_hit ?? 0) + (buffers?.shared_read ?? 0),
      ),
    );
    expect(read).toBe(Number(raw?.["Shared Hit Blocks"]) + Number(raw?.["Shared Read Blocks"]));
  });

  test.each(["init-plan", "init-plan-13"])(
    "%s is paid by the scan that waited for it",
    async (name) => {
      const { plan } = await examine(name);
      const scan = find(plan.root, "Seq Scan on little");
      const init = [...walk(plan.root)].find(({ role }) => role === "init_plan");
      expect(init?.actual?.time_ms).toBeGreaterThan(10);
      expect(scan.actual?.time_ms).toBeGreaterThan(init?.actual?.time_ms ?? 0);
      expect(scan.actual?.own_ms).toBeCloseTo(
        (scan.actual?.time_ms ?? 0) - (init?.actual?.time_ms ?? 0),
        3,
      );
    },
  );

  test("an InitPlan that workers use is paid by the Gather, which runs it first", async () => {
    const { plan } = await examine("init-plan-parallel");
    const [gather] = [...walk(plan.root)].filter(
      ({ type, path }) => type === "Gather" && path === "1.2",
    );
    const init = plan.root.children[0];
    expect(gather?.actual?.own_ms).toBeLessThan(
      (gather?.actual?.time_ms ?? 0) - (init?.actual?.time_ms ?? 0),
    );
    expect(init?.role).toBe("init_plan");
  });

  test("a CTE that is read twice is computed once", async () => {
    const { plan } = await examine("cte-twice");
    const cte = [...walk(plan.root)].find(({ role }) => role === "cte");
    const [a, b] = ["a", "b"].map((alias) => find(plan.root, `CTE Scan on big ${alias}`));
    expect(cte?.subplan).toBe("CTE big");
    expect((a?.actual?.time_ms ?? 0) + (b?.actual?.time_ms ?? 0)).toBeGreaterThan(
      cte?.actual?.time_ms ?? 0,
    );
    expect((a?.actual?.own_ms ?? 0) + (b?.actual?.own_ms ?? 0)).toBeCloseTo(
      (a?.actual?.time_ms ?? 0) + (b?.actual?.time_ms ?? 0) - (cte?.actual?.time_ms ?? 0),
      3,
    );
  });

  test("workers' time is that of the clock, rows and loops are those of all", async () => {
    const { plan } = await examine("filter-discards-parallel");
    const scan = find(plan.root, "Parallel Seq Scan on orders");
    expect(scan.actual).toMatchObject({ loops: 3, processes: 3, rows: 1 });
    expect(scan.actual?.time_ms).toBeLessThanOrEqual(plan.execution_ms ?? 0);
    const { plan: alone } = await examine("workers-not-launched");
    expect(find(alone.root, "Parallel Seq Scan on orders").actual).toMatchObject({
      loops: 1,
      processes: 1,
    });
  });

  test("what other processes of a Parallel Append did meanwhile is not added to it", async () => {
    for (const name of ["parallel-append", "parallel-append-13", "parallel-append-apart"]) {
      const { plan } = await examine(name);
      const append = [...walk(plan.root)].find(({ title }) => title === "Parallel Append");
      const below = sum((append?.children ?? []).map(({ actual }) => actual?.time_ms ?? 0));
      expect(append?.actual?.processes, name).toBe(3);
      expect(below, name).toBeLessThanOrEqual((append?.actual?.time_ms ?? 0) * 1.001);
      expect(below, name).toBeGreaterThan(0);
    }
  });

  test("for a bitmap that one process makes the others wait", async () => {
    const { plan } = await examine("parallel-bitmap");
    const bitmap = find(plan.root, "Bitmap Index Scan on orders_placed");
    const { explained } = await captured("parallel-bitmap");
    const raw = JSON.stringify(explained).split('"Node Type":"Bitmap Index Scan"')[1] ?? "";
    expect(bitmap.actual).toMatchObject({ loops: 1, processes: 3 });
    expect(/"Actual Total Time":([\d.]+)/.exec(raw)?.[1]).toBe(String(bitmap.actual?.time_ms));
  });

  test("a sub-plan's time is that of all its repetitions", async () => {
    const { plan } = await examine("sub-plan");
    const sub = [...walk(plan.root)].find(({ role }) => role === "sub_plan");
    expect(sub?.actual?.loops).toBe(3000);
    expect(sub?.actual?.time_ms).toBeLessThan(plan.root.actual?.time_ms ?? 0);
  });
});

describe("rows that are estimated for all processes", () => {
  test.each([
    ["filter-discards-parallel", "Parallel Seq Scan on orders", 2.4],
    ["parallel-no-leader", "Parallel Seq Scan on orders", 2],
    ["parallel-bitmap", "Parallel Bitmap Heap Scan on orders", 2.4],
    ["parallel-join", "Parallel Hash", 2.4],
    ["parallel-join", "Parallel Hash Join", 2.4],
    ["parallel-lookups", "Nested Loop", 2.4],
    ["parallel-lookups", "Index Scan using customers_pkey on customers c", 1],
    ["parallel-gather-merge", "Sort", 2.4],
    ["parallel-gather-merge", "Gather Merge", 1],
    ["parallel-append", "Parallel Append", 2.4],
    ["parallel-append-13", "Parallel Append", 2.4],
    ["parallel-append", "Partial Aggregate", 1],
  ])("%s: %s", async (name, title, divisor) => {
    const { plan } = await examine(name);
    const { estimated, actual } = find(plan.root, title);
    expect(estimated.divided_by).toBeCloseTo(divisor, 6);
    expect(estimated.all_rows).toBeCloseTo(
      estimated.rows * divisor * (divisor > 1 ? 1 : (actual?.loops ?? 1)),
      6,
    );
    // They are estimated well; what one process or two in three gave was never the whole.
    if ((actual?.rows ?? 0) > 100)
      expect(estimated.all_rows / (actual?.rows ?? 1)).toBeWithin(0.85, 1.15);
    if (estimated.all_rows > 10)
      expect(draw(plan)).toContain(Math.round(estimated.all_rows).toLocaleString("en-US"));
  });

  test("members of a Parallel Append add up to it, whatever workers each of them has", async () => {
    const { plan } = await examine("parallel-append");
    const append = find(plan.root, "Parallel Append");
    const below = sum(append.children.map(({ estimated }) => estimated.all_rows));
    expect(below / append.estimated.all_rows).toBeWithin(0.999, 1.001);
  });

  test("without execution too", () => {
    const scan = {
      "Node Type": "Seq Scan",
      "Parent Relationship": "Outer",
      "Parallel Aware": true,
    };
    const of = (workers: number, settings: object = {}) =>
      parsePlan([
        {
          Plan: {
            "Node Type": "Gather",
            "Workers Planned": workers,
            "Plan Rows": 0,
            Plans: [{ ...scan, "Plan Rows": 100 }],
          },
          Settings: settings,
        },
      ] as Json).root.children[0]?.estimated.all_rows;
    expect([of(1), of(2), of(3), of(4)]).toEqual([170, 240, 310, 400]);
    expect(of(2, { parallel_leader_participation: "off" })).toBe(200);
  });
});

describe("reading", () => {
  test.each([
    ["a rule's several plans", [{ Plan: {} }, { Plan: {} }]],
    ["a utility statement", ["Utility Statement"]],
    ["nothing", []],
    ["text", "Seq Scan"],
    ["null", null],
  ])("%s is refused", (_name, value) => {
    expect(() => parsePlan(value as Json)).toThrow(
      expect.objectContaining({ code: "unsupported" }),
    );
  });

  test("a node that was never executed has no time", () => {
    const plan = parsePlan([
      {
        Plan: {
          "Node Type": "Result",
          "Total Cost": 2,
          "Actual Total Time": 0.1,
          "Actual Rows": 0,
          "Actual Loops": 1,
          Plans: [
            {
              "Node Type": "Seq Scan",
              "Parent Relationship": "Outer",
              "Relation Name": "t",
              "Total Cost": 1,
              "Actual Total Time": 0,
              "Actual Rows": 0,
              "Actual Loops": 0,
            },
          ],
        },
        "Execution Time": 0.2,
      },
    ]);
    expect(plan.root.children[0]?.actual).toMatchObject({ loops: 0, time_ms: 0, own_ms: 0 });
    expect(draw(plan)).toContain("never");
  });

  test("JIT times of 17, where a part is an object of its own", () => {
    const Timing = { Generation: { Deform: 1, Total: 4 }, Inlining: 2, Total: 9.5 };
    const plan = parsePlan([{ Plan: { "Node Type": "Result" }, JIT: { Functions: 3, Timing } }]);
    expect(plan.jit).toEqual({
      functions: 3,
      total_ms: 9.5,
      parts: { generation: 4, inlining: 2 },
      workers_ms: 0,
      whose: "leader",
    });
  });

  test.each([
    [
      { "Node Type": "Aggregate", Strategy: "Hashed", "Partial Mode": "Finalize" },
      "Finalize HashAggregate",
    ],
    [{ "Node Type": "Aggregate", Strategy: "Sorted" }, "GroupAggregate"],
    [
      { "Node Type": "Hash Join", "Join Type": "Left", "Parallel Aware": true },
      "Parallel Hash Left Join",
    ],
    [{ "Node Type": "Nested Loop", "Join Type": "Anti" }, "Nested Loop Anti Join"],
    [
      { "Node Type": "ModifyTable", Operation: "Update", "Relation Name": "t", Alias: "x" },
      "Update on t x",
    ],
    [{ "Node Type": "SetOp", Strategy: "Hashed", Command: "Except" }, "HashSetOp Except"],
    [
      {
        "Node Type": "Index Scan",
        "Scan Direction": "Backward",
        "Index Name": "i",
        "Relation Name": "t",
        Alias: "t",
      },
      "Index Scan Backward using i on t",
    ],
    [{ "Node Type": "Bitmap Index Scan", "Index Name": "i" }, "Bitmap Index Scan on i"],
    [
      { "Node Type": "Foreign Scan", Operation: "Delete", "Relation Name": "f" },
      "Foreign Delete on f",
    ],
    [{ "Node Type": "Subquery Scan", Alias: "s" }, "Subquery Scan on s"],
  ])("%p is called %s", (raw, title) => {
    expect(parsePlan([{ Plan: raw }]).root.title).toBe(title);
  });
});

test("the drawing shows own time, share, rows beside the estimate, and the tree", async () => {
  const { plan } = await examine("sub-plan");
  const lines = draw(plan).split("\n");
  expect(lines[0]?.trim().split(/ {2,}/)).toEqual([
    "own time",
    "share",
    "rows",
    "estimated",
    "loops",
    "node",
  ]);
  expect(lines[2]).toMatch(/3,000 +3,000 +3,000 {2}└─ SubPlan 1: Aggregate$/);
  expect(lines.at(-1)).toMatch(/^planning \d+\.\d ms, execution \d+\.\d ms$/);
});

test("without execution the drawing shows costs", async () => {
  const { plan } = await examine("large-offset-estimate");
  expect(draw(plan).split("\n")[0]?.trim().split(/ {2,}/)).toEqual([
    "own cost",
    "share",
    "rows",
    "node",
  ]);
});

test("a drawing names what spilled, what was removed, and who was missing", async () => {
  const drawn = async (name: string) => draw((await examine(name)).plan);
  expect(await drawn("hash-spill")).toMatch(/Hash {2}\[\d+ batches\]/);
  expect(await drawn("sort-spill")).toMatch(/MB on disk/);
  expect(await drawn("filter-discards")).toContain("removed 199,999");
  expect(await drawn("workers-not-launched")).toContain("0 of 2 workers");
  expect(await drawn("trigger-time")).toContain("of it triggers");
  expect(await drawn("jit-cost")).toContain("of it JIT");
});
