import { expect, test } from "bun:test";
import { procStat } from "../../../engine/shared/proc-stat.ts";

const REST = "0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 200";

test("the name of a command may hold whatever looks like the fields behind it", () => {
  expect(procStat(`42 (a) Z 1 2 (b)) S 7 8 9 ${REST}`)).toEqual({
    state: "S",
    ended: false,
    parent: 7,
    group: 8,
    session: 9,
    kernel: false,
    started: "987654",
    bare: false,
  });
});

test("a thread of the kernel is told by its flag, for programs of a container may have the session 0 as well", () => {
  expect(procStat(`42 (a) S 0 0 0 ${REST}`)).toMatchObject({ session: 0, kernel: false });
  // As Linux 6 tells of kthreadd.
  expect(
    procStat("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0"),
  ).toMatchObject({ kernel: true });
});

test("one that began without an environment, and one of which nobody tells", () => {
  const behind = (from: number, to: number) =>
    `42 (a) S 7 8 9 ${REST} ${"0 ".repeat(25)}${from} ${to} 0`;
  expect(procStat(behind(140_000, 140_000))).toMatchObject({ bare: true });
  expect(procStat(behind(140_000, 140_100))).toMatchObject({ bare: false });
  expect(procStat(behind(0, 0))).toMatchObject({ bare: false });
});

test("a process that has ended, and one that is gone", () => {
  expect(procStat(`42 (sleep) Z 7 8 9 ${REST}`)).toMatchObject({ state: "Z", ended: true });
  expect(procStat("")).toBeUndefined();
});
