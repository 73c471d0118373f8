import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Counters } from "../../../steps/query/statements/counters.ts";
import { parseSince } from "../../../steps/query/statements/since.ts";
import { earlier, keep } from "../../../steps/query/statements/snapshots.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";

const made = mkdtempSync(join(tmpdir(), "pgdba-snapshots-"));
afterAll(() => rmSync(made, { recursive: true, force: true }));

const at = (minute: number, more: Partial<Counters> = {}): Counters => ({
  format: 1,
  taken_at: new Date(Date.UTC(2026, 0, 1) + minute * 60_000).toISOString(),
  node: "local:5432",
  role: 10,
  timed: false,
  stats_reset: null,
  dealloc: null,
  hidden: 0,
  hidden_ms: 0,
  complete: true,
  entries: { "1/10/7": [minute, 1, 0, 0, 0, 0, 0, 0, 0] },
  ...more,
});

test("the nearest older one, of the same node and role", async () => {
  const folder = join(made, "a");
  for (const minute of [0, 30, 50, 58]) await keep(folder, at(minute));
  await keep(folder, at(59, { node: "10.0.0.1:5432" }));
  await keep(folder, at(59, { role: 11 }));
  const now = at(60);
  const found = async (wanted: string | null) =>
    (await earlier(folder, now, wanted === null ? null : Date.parse(wanted))).before?.taken_at;
  expect(await found(null)).toBe("2026-01-01T00:58:00.000Z");
  expect(await found("2026-01-01T00:49:00Z")).toBe("2026-01-01T00:30:00.000Z");
  expect(await found("2026-01-01T00:30:00Z")).toBe("2026-01-01T00:30:00.000Z");
  expect(await found("2025-12-01T00:00:00Z")).toBe("2026-01-01T00:00:00.000Z");
  expect(await earlier(join(made, "none"), now, null)).toEqual({ before: null, unreadable: [] });
  for (const name of readdirSync(folder)) {
    expect(name).toMatch(/^statements-20260101T00\d{7}Z-[0-9a-f]{12}\.json$/);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
  }
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test("at most fifty, the older the fewer, the first and the last among them", async () => {
  const folder = join(made, "b");
  for (let minute = 0; minute < 70; minute++) await keep(folder, at(minute));
  const names = readdirSync(folder).toSorted();
  expect(names).toHaveLength(50);
  expect(names[0]).toStartWith("statements-20260101T000000000Z");
  expect(names.slice(-10).map((name) => name.slice(20, 24))).toEqual([
    "0100",
    "0101",
    "0102",
    "0103",
    "0104",
    "0105",
    "0106",
    "0107",
    "0108",
    "0109",
  ]);
});

test("what is no snapshot is passed over and named", async () => {
  const folder = join(made, "c");
  await keep(folder, at(0));
  const broken = [
    "{",
    "[]",
    '{"format":2}',
    JSON.stringify({ ...at(1), entries: { "1/10/7": [1] } }),
    JSON.stringify({ ...at(1), entries: { "1/10/7": ["1", 1, 0, 0, 0, 0, 0, 0, 0] } }),
  ];
  for (const [n, text] of broken.entries()) writeFileSync(await keep(folder, at(n + 1)), text);
  const { before, unreadable } = await earlier(folder, at(60), null);
  expect(before).toEqual(at(0));
  expect(unreadable).toHaveLength(broken.length);
});

test("since: last, an age, a time with and without a zone", async () => {
  const time = Date.UTC(2026, 1, 22, 10);
  expect(parseSince("last")).toEqual({ since: null });
  expect(parseSince("1h30m")).toEqual({ since: { age: 5_400_000 } });
  for (const text of [
    "2026-02-22T10:00:00Z",
    "2026-02-22T10:00",
    "2026-02-22 10:00:00.000",
    "2026-02-22T12:00:00+02:00",
  ])
    expect(parseSince(text)).toEqual({ since: { time } });
  expect(parseSince("2026-02-22")).toEqual({ since: { time: Date.UTC(2026, 1, 22) } });
  for (const text of [
    "",
    "first",
    "-1h",
    "2026-13-01",
    "../../etc/passwd",
    "1; DROP TABLE x",
    "2026",
    "1h\n",
  ])
    expect(await codeOf(Promise.resolve().then(() => parseSince(text)))).toBe("invalid_param");
});
