import { expect, test } from "bun:test";
import { suggest } from "../../../engine/shared/suggest.ts";

test.each([
  ["stesp", ["steps", "params"], "steps"],
  ["befor", ["after", "before"], "before"],
  ["failover/triger", ["failover/plan", "failover/trigger"], "failover/trigger"],
  ["ab", ["ba"], "ba"],
  ["x", ["y"], "y"],
  ["lag", ["candidate", "switch"], undefined],
  ["abc", ["xyc"], undefined],
  ["abcdef", ["xycdef"], "xycdef"],
  ["abcdef", ["xyzdef"], undefined],
  ["", [], undefined],
])("%p among %p is %p", (word, candidates, expected) => {
  expect(suggest(word, candidates)).toBe(expected as string);
});

test("the nearest wins, the first of equals", () => {
  expect(suggest("abcdef", ["abcdxx", "abcdex", "abcdey"])).toBe("abcdex");
});

test("a huge word costs nothing", () => {
  expect(suggest("a".repeat(1_000_000), ["a".repeat(1_000_001)])).toBeUndefined();
});
