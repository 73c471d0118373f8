import { expect, test } from "bun:test";
import type { Catalogue } from "../../../providers/planner/twin/twin.ts";
import { Existing, Known } from "../../../steps/index/workload/known.ts";

const existing = new Existing({
  indexes: [
    { oid: 1, parent: 0, schema: "s", name: "plain", unique: false, expressions: null },
    { oid: 2, parent: 0, schema: "s", name: "other", unique: false, expressions: null },
    { oid: 3, parent: 0, schema: "s", name: "lowered", unique: false, expressions: "lower(a)" },
    { oid: 4, parent: 0, schema: "s", name: "single", unique: true, expressions: null },
    { oid: 5, parent: 0, schema: "s", name: "parted", unique: false, expressions: null },
    { oid: 6, parent: 5, schema: "s", name: "parted_1", unique: false, expressions: null },
  ],
} as unknown as Catalogue);

const [A, B, C] = [1n, 2n, 4n] as const;

function known(...entries: [chosen: bigint, needs: bigint, used?: string[], without?: string[]][]) {
  const plans = new Known(existing);
  for (const [chosen, needs, used = [], without = []] of entries)
    plans.add(chosen, without, { needs, outcome: { cost: Number(chosen), used: new Set(used) } });
  return plans;
}

test("a plan holds for fewer indexes as long as those it uses are there", () => {
  const plans = known([A | B | C, B]);
  expect(plans.find(A | B, [])?.cost).toBe(7);
  expect(plans.find(B, [])?.cost).toBe(7);
  expect(plans.find(A | C, [])).toBeUndefined();
  expect(plans.find(0n, [])).toBeUndefined();
});

test("never for more than there were", () => {
  const plans = known([B, B]);
  expect(plans.find(A | B, [])).toBeUndefined();
  expect(plans.find(B, [])?.cost).toBe(2);
});

test("an existing index may go that the plan does not use", () => {
  const plans = known([A, 0n, ["plain"]]);
  expect(plans.find(A, ["s.other"])?.cost).toBe(1);
  expect(plans.find(A, ["s.plain"])).toBeUndefined();
});

test("not one that tells the planner something although no plan scans it", () => {
  const plans = known([A, 0n]);
  expect(plans.find(A, ["s.lowered"])).toBeUndefined();
  expect(plans.find(A, ["s.single"])).toBeUndefined();
});

test("a partitioned index counts as used where one of its parts is", () => {
  expect(known([A, 0n, ["parted_1"]]).find(A, ["s.parted"])).toBeUndefined();
  expect(known([A, 0n, ["plain"]]).find(A, ["s.parted"])?.cost).toBe(1);
});

test("a plan made without an index says nothing of those with it", () => {
  const plans = known([A, 0n, [], ["s.plain"]]);
  expect(plans.find(A, [])).toBeUndefined();
  expect(plans.find(A, ["s.plain"])?.cost).toBe(1);
  expect(plans.find(A, ["s.plain", "s.other"])?.cost).toBe(1);
  expect(plans.least).toBe(Number.POSITIVE_INFINITY);
});
