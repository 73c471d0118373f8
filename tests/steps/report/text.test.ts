import { expect, test } from "bun:test";
import { shown, size, span } from "../../../steps/report/collect/units.ts";

test("sizes and times for people", () => {
  expect([0, 999, 1000, 1024, 1536, 1024 ** 2 * 99.95, 1024 ** 4 * 3, -2048].map(size)).toEqual([
    "0 B",
    "999 B",
    "0.98 kB",
    "1 kB",
    "1.5 kB",
    "100 MB",
    "3 TB",
    "-2 kB",
  ]);
  expect([0.0125, 0.85, 12, 3400, 90_000, 8_280_000, 345_600_000].map(span)).toEqual([
    "12.5 µs",
    "850 µs",
    "12 ms",
    "3.4 s",
    "1.5 min",
    "2.3 h",
    "4 d",
  ]);
});

test("a raw setting reads as SHOW gives it", () => {
  const cases: [string, string | null, string][] = [
    ["16384", "8kB", "128MB"],
    ["4096", "kB", "4MB"],
    ["1024", "MB", "1GB"],
    ["300", "s", "5min"],
    ["0", "ms", "0"],
    ["-1", "kB", "-1"],
    ["2", "ms", "2ms"],
    ["0.5", "ms", "0.5ms"],
    ["1500", "ms", "1500ms"],
    ["100", null, "100"],
    ["on", null, "on"],
    ["1440", "min", "1d"],
  ];
  for (const [raw, unit, text] of cases) expect(shown(raw, unit)).toBe(text);
});
