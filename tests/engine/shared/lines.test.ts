import { expect, test } from "bun:test";
import { Lines } from "../../../engine/shared/lines.ts";

test("lines are whole wherever the bytes are cut, also in the middle of a character", () => {
  const bytes = new TextEncoder().encode("größe\n\n→ b\nrest");
  for (let size = 1; size <= bytes.length; size++) {
    const lines = new Lines(100);
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += size)
      found.push(...lines.take(bytes.subarray(at, at + size)));
    expect(found).toEqual(["größe", "", "→ b"]);
    expect(lines.rest).toBe("rest");
  }
});

test("of a line that does not end no more is kept than was asked for", () => {
  const lines = new Lines(4);
  for (let at = 0; at < 1_000; at++) lines.take(new TextEncoder().encode("x".repeat(1_000)));
  expect(lines.take(new TextEncoder().encode("yz"))).toEqual([]);
  expect(lines.rest).toBe("xxyz");
  expect(lines.take(new TextEncoder().encode("\n"))).toEqual(["xxyz"]);
});
