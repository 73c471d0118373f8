import { expect, test } from "bun:test";
import { formatKb, GB, MB, parseKb, roughKb } from "../../../../steps/config/tune/size.ts";

test("formatKb loses nothing", () => {
  expect([GB, 1024 * GB, 1536 * MB, 17475, 32].map(formatKb)).toEqual([
    "1GB",
    "1024GB",
    "1536MB",
    "17475kB",
    "32kB",
  ]);
  for (const kb of [1, 1023, 1024, 1025, GB - 1, GB, 7 * GB + MB])
    expect(parseKb(formatKb(kb))).toBe(kb);
});

test("parseKb takes what people write", () => {
  expect(
    ["64GB", "64 gb", "64G", "64GiB", "1.5GB", "512MB", "1TB", "1048576"].map(parseKb),
  ).toEqual([64 * GB, 64 * GB, 64 * GB, 64 * GB, 1.5 * GB, 512 * MB, 1024 * GB, 1024]);
});

test("parseKb refuses the rest and says how to write it", () => {
  for (const text of ["", "lots", "-1GB", "64 elephants", "1e3GB", "64GBB", "Infinity"]) {
    expect(() => parseKb(text)).toThrow(
      expect.objectContaining({ code: "invalid_param", hint: expect.stringContaining("64GB") }),
    );
  }
});

test("roughKb reads well", () => {
  expect([512, 1.25 * GB, 2048 * GB].map(roughKb)).toEqual(["512kB", "1.3GB", "2TB"]);
});
