import { expect, test } from "bun:test";
import { Kept } from "../../../steps/nodes/kept.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function keptOf(side: "start" | "end", limit: number, parts: string[]): Kept {
  const kept = new Kept(limit, side);
  for (const part of parts) kept.add(bytes(part));
  return kept;
}

test.each([
  ["start", 4, ["ab", "cd"], "abcd", false],
  ["start", 4, ["ab", "cde", "f"], "abcd", true],
  ["start", 4, ["abcdefgh"], "abcd", true],
  ["end", 4, ["ab", "cd"], "abcd", false],
  ["end", 4, ["ab", "cde", "f"], "cdef", true],
  ["end", 4, ["abcdefgh", "ij"], "ghij", true],
  ["end", 4, ["abcdefgh"], "efgh", true],
] as const)("the %s, %i bytes of %j", (side, limit, parts, text, truncated) => {
  const kept = keptOf(side, limit, [...parts]);
  expect([kept.text(), kept.truncated]).toEqual([text, truncated]);
});

test("what is dropped is not held", () => {
  const kept = new Kept(10, "end");
  for (let i = 0; i < 10_000; i++) kept.add(bytes(String(i % 10)));
  expect(kept.text()).toBe("0123456789");
});
