import { describe, expect, test } from "bun:test";
import { parseBytes, parseDuration, parseLsn } from "../../../engine/shared/units.ts";

describe("units", () => {
  test.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["2d", 172_800_000],
    ["1.5s", 1500],
    ["0s", 0],
  ])("parseDuration(%p) is %p ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each([
    ["100", 100],
    ["0", 0],
    ["8kB", 8192],
    ["1MB", 1_048_576],
    ["1.5GB", 1_610_612_736],
    ["16MiB", 16_777_216],
    ["2 TB", 2 * 1024 ** 4],
    ["10B", 10],
  ])("parseBytes(%p) is %p", (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  test.each([
    ["0/0", 0n],
    ["0/16B3748", 0x16b3748n],
    ["1/0", 1n << 32n],
    ["a/ff", (10n << 32n) + 255n],
    ["1FFFFF/FFFFFFFF", (1n << 53n) - 1n],
    ["200000/1", (1n << 53n) + 1n],
    ["FFFFFFFF/FFFFFFFF", (1n << 64n) - 1n],
  ])("parseLsn(%p) is %p", (text, lsn) => expect(parseLsn(text)).toBe(lsn));

  test.each([
    "",
    "5",
    "5 m",
    "-1s",
    "1h30",
    "1x",
    "ms",
    "1".repeat(80) + "s",
    "99999999999999999d",
  ])("parseDuration(%p) is refused", (text) =>
    expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: "invalid_param" })),
  );
  test.each(["", "MB", "-1MB", "1XB", "1e3", "1M B", "99999999PB"])(
    "parseBytes(%p) is refused",
    (text) =>
      expect(() => parseBytes(text)).toThrow(expect.objectContaining({ code: "invalid_param" })),
  );
  test.each(["", "0", "0/", "g/0", "0/123456789", "0/1 "])("parseLsn(%p) is refused", (text) =>
    expect(() => parseLsn(text)).toThrow(expect.objectContaining({ code: "invalid_param" })),
  );
});
