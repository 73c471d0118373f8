import { expect, test } from "bun:test";
import { bound, MAX_ANSWER } from "../../../../engine/cli/answer/bound.ts";
import { failure, success } from "../../../../engine/envelope.ts";
import type { Json, JsonObject } from "../../../../engine/types.ts";

const NOW = new Date("2026-02-22T10:00:00Z");
const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
const rows = (count: number, of: (n: number) => Json) =>
  Array.from({ length: count }, (_, n) => of(n));
const cut = (data: Json, max = MAX_ANSWER) => {
  const { envelope, left } = bound(success("x", NOW, data), max);
  return { data: envelope.data as any, left, size: bytes(envelope) };
};

test("what fits is left as it is", () => {
  const data = {
    list: rows(100, (n) => ({ n })),
    run: { steps: rows(50, () => ({ status: "ok" })) },
  };
  expect(cut(data)).toMatchObject({ data, left: {} });
});

test("steps that went well go first, and are enough where they are", () => {
  const steps = rows(400, (n) => ({
    path: `step_${n}`,
    status: n === 7 ? "failed" : "ok",
    pad: "x".repeat(60),
  }));
  const found = rows(200, (n) => ({ n, text: "a finding" }));
  const { data, left, size } = cut({ found, run: { id: "r", steps } });
  expect(left).toEqual({ "run.steps": 399 });
  expect(data.run.steps).toMatchObject([{ path: "step_7" }]);
  expect(data.found).toEqual(found);
  expect(size).toBeLessThanOrEqual(MAX_ANSWER);
});

test("the longest list is cut, a short one stays whole, and the count is what is missing", () => {
  const long = rows(3_000, (n) => ({ n, name: `row ${n}` }));
  const short = rows(20, (n) => `name_${n}`);
  const { data, left, size } = cut({ short, long });
  expect(data.short).toEqual(short);
  expect(data.long).toEqual(long.slice(0, data.long.length));
  expect(left).toEqual({ long: 3_000 - data.long.length });
  // It is no longer than it must be.
  expect(size).toBeWithin(MAX_ANSWER - 2_000, MAX_ANSWER + 1);
});

test("where little is to be told of what was left out, its room holds more of the answer", () => {
  const { data, left, size } = cut({ found: rows(60, (n) => ({ n, text: "x".repeat(900) })) });
  expect(size + bytes(left)).toBeWithin(MAX_ANSWER - 1_300, MAX_ANSWER - 250);
  expect(data.found).toHaveLength(60 - (left["found"] ?? 0));
  expect(data.found.length).toBe(21);
});

test.each([MAX_ANSWER, 4_000])(
  "a long text is cut, and not the entry with the figures beside it: %d",
  (max) => {
    const sql = `INSERT INTO t VALUES ${"(1, 'é'), ".repeat(6_000)}`;
    const one = cut({ changed: [{ sql, command: "INSERT", rows: 6_000, returned: [] }] }, max);
    expect(one.data.changed).toMatchObject([{ command: "INSERT", rows: 6_000, returned: [] }]);
    expect(one.data.changed[0].sql).toMatch(/^INSERT INTO t .*… \(\d+ more characters\)$/);
    expect(Object.keys(one.left)).toEqual(["changed.sql (characters)"]);
    expect(one.size).toBeWithin(max / 4, max + 1);
    // Of several each has its figure, also where they stand in the preview of a step.
    const few = rows(4, (n) => ({ sql: n === 1 ? "DELETE FROM t" : sql, rows: n }));
    const steps = [{ path: "rows", status: "previewed", preview: { changes: few } }];
    const { data, size } = cut({ run: { steps } }, max);
    expect(data.run.steps[0].preview.changes.map((row: any) => row.rows)).toEqual([0, 1, 2, 3]);
    expect(data.run.steps[0].preview.changes[1].sql).toBe("DELETE FROM t");
    expect(size).toBeLessThanOrEqual(max);
    // The same of a large map, which is a list by another name.
    const map = Object.fromEntries(rows(50, (n) => [`k${n}`, n === 0 ? sql : n] as any) as any);
    const large = cut({ map }, max);
    expect(Object.keys(large.data.map)).toHaveLength(50);
  },
);

test("lists within lists: each of a few keeps its beginning", () => {
  const { data, left } = cut({ groups: rows(3, (g) => ({ g, items: rows(2_000, (n) => n) })) });
  expect(data.groups).toHaveLength(3);
  const kept = data.groups.map((one: any) => one.items.length) as number[];
  expect(Math.min(...kept)).toBeGreaterThan(500);
  expect(left).toEqual({ "groups.items": 6_000 - kept.reduce((a, b) => a + b) });
});

test("texts and large maps are cut; a record keeps its keys", () => {
  const { data, left } = cut({
    plan: "ü😀".repeat(20_000),
    settings: Object.fromEntries(
      Array.from({ length: 3_000 }, (_, n) => [`setting_${String(n)}`, "on"]),
    ),
    record: { a: 1, b: 2 },
  });
  expect(data.record).toEqual({ a: 1, b: 2 });
  expect(data.plan).toMatch(/… \(\d+ more characters\)$/);
  expect(data.plan).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/);
  expect(left["settings"]).toBe(3_000 - Object.keys(data.settings).length);
  expect(left["plan (characters)"]).toBeGreaterThan(50_000);
});

test("where much lies deep, that goes first, and the texts above it stay whole", () => {
  const entry = {
    type: "object",
    properties: { name: { type: "string" }, at: { type: "integer" } },
  };
  const properties = Object.fromEntries(
    Array.from({ length: 30 }, (_, n) => [
      `part_${n}`,
      { items: { type: "object", of: [entry, entry, entry, entry, entry] } },
    ]),
  );
  const summary = "what it does, in a line that is read before all else ".repeat(2);
  const { data, left, size } = cut({ summary, output: { properties, more: properties } });
  expect(data.summary).toBe(summary);
  expect(Object.keys(data.output.properties)).toHaveLength(30);
  expect(Object.values(left).reduce((a, b) => a + b)).toBeGreaterThan(100);
  expect(size).toBeLessThanOrEqual(MAX_ANSWER);
});

test("whatever comes, it fits", () => {
  let deep: Json = "end";
  for (let n = 0; n < 300; n++) deep = { child: [deep], text: "y".repeat(200) };
  const many = Object.fromEntries(
    Array.from({ length: 39 }, (_, n) => [`k${n}`, "z".repeat(2_000)]),
  );
  const tree = (level: number): JsonObject =>
    level === 0 ? { a: "b" } : { list: rows(6, () => tree(level - 1)), map: many };
  for (const data of [{ deep }, many, tree(3), rows(9_000, (n) => n), "t".repeat(90_000)])
    for (const max of [MAX_ANSWER, 4_000]) {
      const { left, size } = cut(data as Json, max);
      expect(size).toBeLessThanOrEqual(max);
      expect(Object.keys(left).length).toBeWithin(1, 17);
    }
});

test("an error stays with its message and hint", () => {
  const error = {
    code: "assertion_failed" as const,
    message: "Too many",
    hint: "Do this",
    step: "check",
    where: null,
    retryable: false,
    data: rows(5_000, (n) => ({ n })),
  };
  const { envelope, left } = bound(
    failure("x", NOW, error, { found: rows(9_000, (n) => n) }),
    MAX_ANSWER,
  );
  expect(envelope.error).toMatchObject({
    code: "assertion_failed",
    message: "Too many",
    hint: "Do this",
  });
  expect(Object.keys(left).toSorted()).toEqual(["error.data", "found"]);
  expect(bytes(envelope)).toBeLessThanOrEqual(MAX_ANSWER);
});
