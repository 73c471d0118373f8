import { expect, test } from "bun:test";
import { nearNames } from "../../../engine/load/near.ts";

const NAMES = ["cluster/list", "cluster/show", "lab/up", "query/index-suggest", "rehearsal/create"];

test.each([
  ["clustr/list", "Did you mean cluster/list?"],
  ["cluster/lst", "Did you mean cluster/list?"],
  // Not the nearest text, which does something else.
  ["cluster/cost", "There are cluster/list, cluster/show."],
  ["cluster/create", "There are rehearsal/create, cluster/list, cluster/show."],
  ["index/suggest", "There is query/index-suggest."],
  ["lab", "There is lab/up."],
  ["failover/trigger", undefined],
  ["", undefined],
])("%j", (name, hint) => {
  expect(nearNames(name, NAMES)).toBe(hint);
});

test("a long list is cut", () => {
  const many = Array.from({ length: 20 }, (_, i) => `team/number-${i}`);
  expect(nearNames("team/xyz", many)).toMatch(/^There are team\/number-0, .*team\/number-11, …\.$/);
});
