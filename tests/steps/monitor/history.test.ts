import { expect, test } from "bun:test";
import history from "../../../steps/monitor/history.ts";
import { figuresOf, gridOf, onGrid, sparkline } from "../../../steps/monitor/watch/history.ts";
import { monitoringAccess } from "../../../providers/monitoring/client.ts";
import { fakeContext } from "../../support/context.ts";

test("bars go from the least to the most; what never changes is a line, what is not known a dot", () => {
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe("▁▂▃▄▅▆▇█");
  expect(sparkline([5, 5, 5])).toBe("▁▁▁");
  expect(sparkline([null, 0, null, 10])).toBe("·▁·█");
});

test("points are evenly apart, at most as many as asked for, and no closer than scrapes", () => {
  const now = new Date("2026-01-01T01:00:00Z");
  const hour = gridOf(now, "1h", 40);
  expect(hour).toMatchObject({ end: now.getTime() / 1000, step: 90 });
  expect(onGrid(hour, [])).toHaveLength(40);
  expect(gridOf(now, "1m", 40)).toMatchObject({ step: 5 });
  expect(onGrid(gridOf(now, "1m", 40), [])).toHaveLength(12);
  const grid = { start: 100, end: 130, step: 10 };
  expect(
    onGrid(grid, [
      [100, "1.005"],
      [120, "NaN"],
      [130, "7"],
    ]),
  ).toEqual([1, null, null, 7]);
});

test("rates are taken over the time between two points, and never over less than two scrapes", () => {
  const expr = (step: number) => figuresOf("shop", step).find(({ unit }) => unit === "/s")!.expr;
  expect(expr(5)).toContain("[60s]");
  expect(expr(90)).toContain("[90s]");
});

test("each figure that Prometheus has is told, and those of which it has nothing are left out", async () => {
  const asked: string[] = [];
  const total = figuresOf("orders", 900).length;
  // It answers none before it has been asked for all.
  const all = Promise.withResolvers<void>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { searchParams } = new URL(request.url);
      const query = searchParams.get("query")!;
      asked.push(query);
      if (asked.length === total) all.resolve();
      await all.promise;
      const start = Number(searchParams.get("start"));
      const step = Number(searchParams.get("step"));
      const values = [
        [start, "2"],
        [start + step, "4.5"],
      ];
      const result = query.includes("replication_lag:seconds") ? [{ metric: {}, values }] : [];
      return Response.json({ status: "success", data: { resultType: "matrix", result } });
    },
  });
  try {
    const prometheus = `http://127.0.0.1:${server.port}`;
    const on = { effect: "read" as const, signal: new AbortController().signal };
    const access = monitoringAccess("orders", { prometheus }, on);
    const ctx = fakeContext({ target: { cluster: "orders", use: async () => access } });
    const told = (await history.run(ctx, { window: "1h", points: 4 })) as {
      step_seconds: number;
      figures: { what: string; course: string }[];
    };
    expect(told.step_seconds).toBe(900);
    expect(told.figures).toEqual([
      {
        what: "lag",
        unit: "s",
        now: 4.5,
        least: 2,
        most: 4.5,
        course: "▁█··",
        values: [2, 4.5, null, null],
      },
    ] as never);
    expect(asked).toHaveLength(total);
    expect(asked.every((one) => one.includes('cluster="orders"'))).toBe(true);
  } finally {
    await server.stop(true);
  }
});
