import { expect, test } from "bun:test";
import { bucketOf } from "../../../../steps/backup/retention/buckets.ts";
import type { Holdings, Kept } from "../../../../steps/backup/retention/history.ts";
import type { Policy } from "../../../../steps/backup/retention/policy.ts";
import { retain } from "../../../../steps/backup/retention/retain.ts";
import { nameOf } from "./random.ts";

const DAY = 86_400_000;
const MB16 = 16 * 1024 * 1024;
const NOON = Date.UTC(2026, 5, 30, 12);

/** A full backup that began so many days before `NOON`, in segment `100 - ago` of the first timeline. */
function full(ago: number, more: Partial<Kept> = {}): Kept {
  const started = NOON - ago * DAY;
  const number = 100 - ago;
  return {
    id: `f${ago}`,
    type: "full",
    parent: null,
    started,
    finished: started + 60_000,
    wal: {
      timeline: 1,
      start: nameOf(number),
      endTimeline: 1,
      endLsn: BigInt(number) * BigInt(MB16) + 100n,
      end: nameOf(number),
      segmentBytes: MB16,
    },
    verified: true,
    pinned: false,
    databases: [],
    ...more,
  };
}

const logical = (ago: number, databases: string[], more: Partial<Kept> = {}): Kept =>
  full(ago, { id: `l${ago}${databases.join("")}`, type: "logical", wal: null, databases, ...more });

/** One segment of each of the last hundred days. */
function holding(backups: Kept[], more: Partial<Holdings> = {}): Holdings {
  const segments = Array.from({ length: 101 }, (_, number) => ({
    timeline: 1,
    segment: nameOf(number),
    name: `00000001${nameOf(number)}`,
    at: NOON - (100 - number) * DAY,
  }));
  return { backups, lines: [], segments, ...more };
}

const policy = (more: Partial<Policy>): Policy => ({ zone: "UTC", ...more });
const gone = (backups: Kept[], rule: Partial<Policy>, more: Partial<Holdings> = {}) =>
  retain(holding(backups, more), policy(rule), { now: NOON, moreThanHalf: true });

test("the newest so many full ones stay, with all that is newer, and WAL from the oldest of them on", () => {
  const backups = [1, 2, 3, 4].map((ago) => full(ago));
  const result = gone(backups, { keepFull: 2 });
  expect(result.remove).toEqual(["f4", "f3"]);
  expect(result.wal.at(-1)?.segment).toBe(nameOf(97));
  expect(result.wal).toHaveLength(98);
  expect(result.backups[0]).toEqual({ id: "f4", stays: false, why: ["no rule keeps it"] });
});

test("one that is not verified does not count as one of so many", () => {
  const backups = [full(1), full(2, { verified: false }), full(3), full(4)];
  expect(gone(backups, { keepFull: 2 }).remove).toEqual(["f4"]);
});

test("of so many days, the last backup before them stays, for they begin with it", () => {
  const backups = [1, 3, 5, 9, 12].map((ago) => full(ago));
  expect(gone(backups, { keepDays: 7 }).remove).toEqual(["f12"]);
  expect(gone(backups, { keepDays: 4 }).remove).toEqual(["f12", "f9"]);
});

test("when backups have stopped, the days stand still", () => {
  const backups = [61, 63, 65, 69].map((ago) => full(ago));
  expect(gone(backups, { keepDays: 7 }).remove).toEqual([]);
  expect(gone(backups, { keepDays: 3 }).remove).toEqual(["f69"]);
});

test("outside of the days a kept one has the WAL that it needs itself, and no more", () => {
  const backups = [full(1), full(20, { pinned: true }), full(30)];
  const result = gone(backups, { keepFull: 1 });
  expect(result.remove).toEqual(["f30"]);
  const left = new Set(result.wal.map(({ segment }) => segment));
  expect([79, 80, 81, 98, 99].map((number) => left.has(nameOf(number)))).toEqual([
    true,
    false,
    true,
    true,
    false,
  ]);
});

test("a chain stays whole, and goes child first", () => {
  const chain = [
    full(9),
    full(8, { id: "i8", type: "incremental", parent: "f9" }),
    full(7, { id: "i7", type: "incremental", parent: "i8" }),
  ];
  expect(gone([...chain, full(1)], { keepFull: 1 }).remove).toEqual(["i7", "i8", "f9"]);
  const pinned = chain.map((one) => ({ ...one, pinned: one.id === "i8" }));
  const result = gone([...pinned, full(1)], { keepFull: 1 });
  expect(result.remove).toEqual(["i7"]);
  expect(result.backups[0]?.why).toEqual(["i8 builds on it"]);
});

test("the last of each day, week and month counts in the zone's own calendar", () => {
  // 23:30 and 00:30 in Berlin, on both sides of midnight and of the month.
  const late = full(0, { id: "late", started: 0, finished: Date.UTC(2026, 4, 31, 21, 30) });
  const early = full(0, { id: "early", started: 1, finished: Date.UTC(2026, 4, 31, 22, 30) });
  const newest = full(1);
  const days = (zone: string) => gone([late, early, newest], { gfs: { daily: 3 }, zone }).remove;
  expect(days("Europe/Berlin")).toEqual([]);
  expect(days("UTC")).toEqual(["late"]);
});

test("a day that the clocks are set has one name from its midnight to the next", () => {
  // 29 March 2026 in Berlin has 23 hours, 25 October 25, and in Apia there was no 30 December 2011.
  const name = (time: string, zone = "Europe/Berlin") => bucketOf("daily", Date.parse(time), zone);
  expect(name("2026-03-28T23:00:00Z")).toBe(name("2026-03-29T21:59:59Z"));
  expect(name("2026-03-29T22:00:00Z")).not.toBe(name("2026-03-29T21:59:59Z"));
  expect(name("2026-10-24T22:00:00Z")).toBe(name("2026-10-25T22:59:59Z"));
  const apia = (time: string) => Number(name(time, "Pacific/Apia").slice(1));
  expect(apia("2011-12-30T10:00:00Z") - apia("2011-12-30T09:59:59Z")).toBe(2);
  expect(bucketOf("weekly", Date.parse("2026-06-28T23:59:59Z"), "UTC")).not.toBe(
    bucketOf("weekly", Date.parse("2026-06-29T00:00:00Z"), "UTC"),
  );
});

test("logical backups go by themselves, those of other databases as well", () => {
  const backups = [
    full(1),
    full(2),
    logical(3, ["a"]),
    logical(4, ["a"]),
    logical(5, ["b"]),
    logical(6, ["a", "b"]),
  ];
  expect(gone(backups, { keepFull: 1 }).remove).toEqual(["l4a", "f2"]);
});

test("beside a newest one that is not verified nothing of its kind goes, and no WAL", () => {
  const backups = [
    full(1, { verified: false }),
    full(2),
    full(3),
    full(4),
    logical(5, ["a"]),
    logical(6, ["a"]),
  ];
  const result = gone(backups, { keepFull: 1 });
  expect(result.remove).toEqual(["l6a"]);
  expect(result.wal).toEqual([]);
  expect(result.refused).toMatchObject([
    { reason: "unverified", why: "f1, the newest of its kind, is not verified" },
  ]);
});

test("one whose WAL is gone can't be relied on", () => {
  const { segments } = holding([]);
  const without = segments.filter(({ segment }) => segment !== nameOf(99));
  const result = gone([full(1), full(2), full(3)], { keepFull: 1 }, { segments: without });
  expect(result.remove).toEqual([]);
  expect(result.refused[0]?.why).toBe(
    `f1, the newest of its kind, needs the WAL segment ${nameOf(99)}, which is gone`,
  );
});

test("nothing goes by a clock that is wrong, nor more than half without a word", () => {
  const backups = [1, 2, 3, 4].map((ago) => full(ago));
  const at = (now: number, clocks?: { whose: string; at: number }[]) =>
    retain(holding(backups), policy({ keepFull: 1 }), {
      now,
      moreThanHalf: true,
      ...(clocks && { clocks }),
    });
  expect(at(NOON - 3 * DAY).refused).toMatchObject([{ reason: "clock" }]);
  expect(at(NOON, [{ whose: "db1", at: NOON - 3_600_000 }]).refused[0]?.why).toContain(
    "The clock of db1",
  );
  expect(at(NOON, [{ whose: "db1", at: NOON + 1000 }]).remove).toHaveLength(3);
  const most = retain(holding(backups), policy({ keepFull: 1 }), { now: NOON });
  expect(most).toMatchObject({
    remove: [],
    wal: [],
    refused: [{ reason: "more_than_half", why: "3 of 4 backups would go" }],
  });
  expect(most.backups.map(({ stays }) => stays)).toEqual([true, true, true, true]);
});

test("without a rule nothing goes", () => {
  expect(gone([full(1), full(2)], {}).refused).toMatchObject([{ reason: "no_policy" }]);
  expect(gone([full(1), full(2)], { gfs: { daily: 0 } }).refused).toMatchObject([
    { reason: "no_policy" },
  ]);
});

test("a restore to an earlier moment keeps the backup that its line began from", () => {
  // Timeline 2 left timeline 1 in segment 93, before the newer backups of that were taken.
  const lines = [{ timeline: 2, from: [{ timeline: 1, until: BigInt(93) * BigInt(MB16) }] }];
  const { segments } = holding([]);
  const more = {
    lines,
    segments: [...segments, { timeline: 2, segment: nameOf(93), name: "2", at: NOON }],
  };
  const result = gone([full(1), full(2), full(9), full(12)], { keepFull: 1 }, more);
  expect(result.remove).toEqual(["f12", "f2"]);
  expect(result.backups.find(({ id }) => id === "f9")?.why).toEqual([
    "the newest that leads to timeline 2",
  ]);
  expect(result.wal.map(({ segment }) => segment)).toEqual(
    Array.from({ length: 91 }, (_, number) => nameOf(number)),
  );
});

test("while nobody knows where the newest timeline began, nothing goes", () => {
  const { segments } = holding([]);
  const more = {
    segments: [...segments, { timeline: 3, segment: nameOf(101), name: "3", at: NOON }],
  };
  expect(gone([full(1), full(2)], { keepFull: 1 }, more)).toMatchObject({
    remove: [],
    wal: [],
    refused: [{ reason: "history" }],
  });
});

test("a timeline that a server was made with has no history, and needs none", () => {
  const on5 = (backup: Kept): Kept => ({
    ...backup,
    wal: { ...backup.wal!, timeline: 5, endTimeline: 5 },
  });
  const segments = holding([]).segments.map((one) => ({ ...one, timeline: 5 }));
  const result = gone([on5(full(1)), on5(full(2))], { keepFull: 1 }, { segments });
  expect(result).toMatchObject({ remove: ["f2"], refused: [] });
  expect(result.wal).toHaveLength(99);
});
