import { Cron } from "croner";
import { expect, test } from "bun:test";
import {
  checkedCron,
  isSameIn,
  lastTime,
  nextTimes,
} from "../../../../steps/backup/schedule/cron.ts";

const BERLIN = "Europe/Berlin";
const at = (text: string) => new Date(text);
const next = (cron: string, zone: string, from: string, count = 3) =>
  nextTimes(cron, zone, at(from), count).map((one) => one.toISOString().slice(0, 16));

test("it fires by the clock of the zone, once where the clock is set", () => {
  // 29 March 2026: at 2:00 it is 3:00. 25 October: 2:30 is twice.
  expect(next("30 2 * * *", BERLIN, "2026-03-28T12:00:00Z")).toEqual([
    "2026-03-29T01:30",
    "2026-03-30T00:30",
    "2026-03-31T00:30",
  ]);
  expect(next("30 2 * * *", BERLIN, "2026-10-24T12:00:00Z")).toEqual([
    "2026-10-25T00:30",
    "2026-10-26T01:30",
    "2026-10-27T01:30",
  ]);
  expect(next("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2)).toEqual([
    "2028-02-29T00:00",
    "2032-02-29T00:00",
  ]);
  // A day of the month and a day of the week: either.
  expect(next("0 3 1 * 0", "UTC", "2026-05-30T00:00:00Z")).toEqual([
    "2026-05-31T03:00",
    "2026-06-01T03:00",
    "2026-06-07T03:00",
  ]);
});

test("the last time is found however rare it is", () => {
  const last = (cron: string, now: string) =>
    lastTime(cron, BERLIN, at(now))?.toISOString().slice(0, 16);
  expect(last("*/15 * * * *", "2026-06-01T10:07:00Z")).toBe("2026-06-01T10:00");
  expect(last("0 2 * * *", "2026-06-01T00:00:00Z")).toBe("2026-06-01T00:00");
  expect(last("0 2 * * *", "2026-05-31T23:59:59Z")).toBe("2026-05-31T00:00");
  expect(last("0 2 1 1 *", "2026-12-31T00:00:00Z")).toBe("2026-01-01T01:00");
  expect(last("0 2 29 2 *", "2026-12-31T00:00:00Z")).toBe("2024-02-29T01:00");
});

test("what cron would not take, or what never fires, is refused with an example", () => {
  for (const text of [
    "",
    "* * * *",
    "60 * * * *",
    "0 2 * * * root",
    "0 0 30 2 *",
    "@reboot",
    "0 2 * * *\nx",
    "0 2 * * 8",
  ])
    expect(() => checkedCron(text, "UTC", at("2026-01-01T00:00:00Z"))).toThrow(
      expect.objectContaining({ code: "invalid_param" }),
    );
  expect(checkedCron("  0   2 * * MON ", "UTC", at("2026-01-01T00:00:00Z"))).toBe("0 2 * * MON");
  expect(checkedCron("@daily", "UTC", at("2026-01-01T00:00:00Z"))).toBe("@daily");
  expect(() => checkedCron("0 2 * * *", "Mars/Crater", at("2026-01-01T00:00:00Z"))).toThrow(
    "no time zone",
  );
});

test("two zones are the same when it fires at the same moments all year", () => {
  const same = (cron: string, one: string, other: string) =>
    isSameIn(cron, one, other, at("2026-01-10T00:00:00Z"));
  expect(same("0 2 * * *", "UTC", "Etc/UTC")).toBe(true);
  expect(same("0 2 * * *", BERLIN, "Europe/Paris")).toBe(true);
  expect(same("0 2 * * *", "UTC", "Europe/London")).toBe(false);
  expect(same("*/10 * * * *", "UTC", BERLIN)).toBe(true);
});

test("croner says the same of two thousand expressions in seven zones", () => {
  const zones = [
    "UTC",
    BERLIN,
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
  ];
  let state = 7;
  const random = (below: number) => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return Math.floor((state / 2 ** 32) * below);
  };
  const field = (low: number, high: number, open: number): string => {
    if (random(100) < open) return random(4) === 0 ? `*/${1 + random(high >> 1)}` : "*";
    const [a, b] = [low + random(high - low + 1), low + random(high - low + 1)];
    const range = `${Math.min(a, b)}-${Math.max(a, b)}`;
    return [`${a}`, a === b ? `${a}` : `${a},${b}`, range, `${range}/${1 + random(5)}`][random(4)]!;
  };
  for (let at = 0; at < 2_000; at++) {
    const cron = [
      field(0, 59, 20),
      field(0, 23, 30),
      field(1, 28, 70),
      field(1, 12, 80),
      field(0, 6, 70),
    ].join(" ");
    const zone = zones[random(zones.length)]!;
    const from = new Date(Date.UTC(2026, random(24), 1 + random(28), random(24), random(60)));
    const theirs = new Cron(cron, { timezone: zone }).nextRun(from);
    expect([cron, zone, from, nextTimes(cron, zone, from, 1)[0] ?? null]).toEqual([
      cron,
      zone,
      from,
      theirs,
    ]);
  }
});
