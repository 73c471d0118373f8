import { expect, test } from "bun:test";
import type { Counters } from "../../../steps/query/statements/counters.ts";
import { between, type Interval } from "../../../steps/query/statements/interval.ts";

const BEFORE = "2026-01-01T10:00:00.000Z";
const NOW = "2026-01-01T11:00:00.000Z";

/** calls and total_ms of entries; the other figures are 0. */
function counters(
  taken_at: string,
  entries: Record<string, [calls: number, ms: number]>,
  more: Partial<Counters> = {},
): Counters {
  return {
    format: 1,
    taken_at,
    node: "n",
    role: 10,
    timed: false,
    stats_reset: null,
    dealloc: null,
    hidden: 0,
    hidden_ms: 0,
    complete: true,
    entries: Object.fromEntries(
      Object.entries(entries).map(([key, [calls, ms]]) => [key, [calls, ms, 0, 0, 0, 0, 0, 0, 0]]),
    ),
    ...more,
  };
}

function diff(before: Counters, now: Counters, since: Record<string, string> = {}): Interval {
  return between(before, { counters: now, since: new Map(Object.entries(since)) });
}

const brief = ({ changes }: Interval) =>
  changes.map(({ id, basis, calls, total_ms }) => [id, basis, calls, total_ms]);

test("differences, what is new, and nothing of what did not run", () => {
  const found = diff(
    counters(BEFORE, { "1/10/7": [3, 30.5], "1/10/8": [1, 1] }),
    counters(NOW, { "1/10/7": [5, 50.75], "1/10/8": [1, 1], "1/10/9": [2, 4] }),
  );
  expect(brief(found)).toEqual([
    ["1/7", "difference", 2, 20.25],
    ["1/9", "new", 2, 4],
  ]);
  expect(found).toMatchObject({
    total_ms: 24.25,
    reset: false,
    evicted: 0,
    untold: 0,
    from: BEFORE,
    to: NOW,
  });
});

test("one row for a statement whoever runs it, inside a function too; one for each database", () => {
  const found = diff(
    counters(BEFORE, { "1/10/7/t": [1, 1], "1/11/7/t": [5, 5], "2/10/7/t": [1, 1] }),
    counters(NOW, {
      "1/10/7/t": [2, 2],
      "1/11/7/t": [7, 7],
      "1/10/7/f": [1, 9],
      "2/10/7/t": [2, 3],
    }),
  );
  expect(brief(found)).toEqual([
    ["1/7", "difference", 4, 12],
    ["2/7", "difference", 1, 2],
  ]);
});

test("counters that went back began anew: what they have now is the least that was done", () => {
  const found = diff(
    counters(BEFORE, { "1/10/7": [100, 900], "1/10/8": [4, 40] }),
    counters(NOW, { "1/10/7": [2, 20], "1/10/8": [6, 60] }),
  );
  expect(brief(found)).toEqual([
    ["1/7", "reset", 2, 20],
    ["1/8", "difference", 2, 20],
  ]);
});

test("time without a call began anew as well", () => {
  const found = diff(counters(BEFORE, { "1/10/7": [2, 30] }), counters(NOW, { "1/10/7": [2, 31] }));
  expect(brief(found)).toEqual([["1/7", "reset", 2, 31]]);
});

test("an entry that came back and has already overtaken itself is known by its own time, from 17 on", () => {
  const [before, now] = [
    counters(BEFORE, { "1/10/7": [3, 30] }),
    counters(NOW, { "1/10/7": [5, 50] }),
  ];
  expect(brief(diff(before, now, { "1/10/7": "2026-01-01T10:30:00Z" }))).toEqual([
    ["1/7", "reset", 5, 50],
  ]);
  expect(brief(diff(before, now, { "1/10/7": "2026-01-01T09:30:00Z" }))).toEqual([
    ["1/7", "difference", 2, 20],
  ]);
});

test("a reset of everything: all counts from then on", () => {
  const when = "2026-01-01T10:20:00Z";
  const found = diff(
    counters(
      BEFORE,
      { "1/10/7": [3, 30], "1/10/8": [1, 1] },
      { stats_reset: "2025-01-01T00:00:00Z", dealloc: 9, hidden_ms: 500 },
    ),
    counters(NOW, { "1/10/7": [5, 50] }, { stats_reset: when, dealloc: 2 }),
  );
  expect(brief(found)).toEqual([["1/7", "reset", 5, 50]]);
  expect(found).toMatchObject({ reset: true, from: when, evicted: 0, dealloc: 2, total_ms: 50 });
});

test("evicted ones are counted, and their figures are nobody's", () => {
  const found = diff(
    counters(BEFORE, { "1/10/7": [3, 30], "1/10/8": [1, 1] }, { dealloc: 1 }),
    counters(NOW, { "1/10/8": [2, 2] }, { dealloc: 4 }),
  );
  expect(found).toMatchObject({ evicted: 1, dealloc: 3, total_ms: 1 });
});

test("what the earlier snapshot could not see is not taken for new, unless it is one's own or began since", () => {
  const before = counters(BEFORE, {}, { hidden: 5, hidden_ms: 700 });
  const now = counters(NOW, { "1/11/7": [900, 700], "1/10/8": [1, 1], "1/11/9": [1, 2] });
  const found = diff(before, now, { "1/11/9": "2026-01-01T10:30:00Z" });
  expect(brief(found)).toEqual([
    ["1/8", "new", 1, 1],
    ["1/9", "new", 1, 2],
  ]);
  expect(found).toMatchObject({ untold: 1, total_ms: 3 });
  expect(diff(counters(BEFORE, {}, { complete: false }), now).untold).toBe(3);
});

test("the time of hidden ones counts in the whole", () => {
  const found = diff(
    counters(BEFORE, { "1/10/7": [1, 1] }, { hidden: 2, hidden_ms: 100 }),
    counters(NOW, { "1/10/7": [2, 3] }, { hidden: 2, hidden_ms: 150 }),
  );
  expect(found.total_ms).toBe(52);
});
