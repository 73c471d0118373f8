import { expect, test } from "bun:test";
import { maskQuery, maskSetting } from "../../../steps/report/lib/mask.ts";
import { shown, size, span } from "../../../steps/report/lib/units.ts";

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

test("passwords and keys in settings are masked, and nothing else", () => {
  expect(maskSetting("host=a user=b password=geheim port=1")).toBe(
    "host=a user=b password=*** port=1",
  );
  expect(maskSetting("host=a password='it''s \\' x' port=1")).toBe("host=a password=*** port=1");
  expect(maskSetting("postgres://u:geheim@host/db")).toBe("postgres://u:***@host/db");
  expect(maskSetting("AWS_SECRET_ACCESS_KEY=geheim wal-g wal-push %p")).toBe(
    "AWS_SECRET_ACCESS_KEY=*** wal-g wal-push %p",
  );
  for (const plain of [
    "/etc/ssl/key.pem",
    "cp %p /archive/%f",
    "scram-sha-256",
    "pg_stat_statements, auto_explain",
  ])
    expect(maskSetting(plain)).toBe(plain);
});

test("no way of quoting brings a password past the mask", () => {
  const literals = [
    "'geheim'",
    "E'a\\'geheim'",
    "'it''s geheim'",
    "$$geheim$$",
    "$x$ge'heim geheim$x$",
    "U&'geheim'",
    "'C:\\', 'geheim'",
  ];
  for (const literal of literals) {
    const masked = maskQuery(`alter role x password ${literal} valid until 'tomorrow' -- end`);
    expect(masked).toStartWith("alter role x password ");
    expect(masked).toContain("***");
    expect(masked).not.toContain("geheim");
  }
  expect(
    maskQuery("create subscription s connection 'password=geheim' publication p"),
  ).not.toContain("geheim");
  expect(maskQuery(`alter role x password 'geh${"e".repeat(2000)}`.slice(0, 2000))).not.toContain(
    "gehe",
  );
  for (const plain of [
    "select 'x' from t where a = $1",
    "select password from users where id = $1",
  ])
    expect(maskQuery(plain)).toBe(plain);
});
