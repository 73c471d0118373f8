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
    started: "987654",
  });
});

test("a process that has ended, and one that is gone", () => {
  expect(procStat(`42 (sleep) Z 7 8 9 ${REST}`)).toMatchObject({ state: "Z", ended: true });
  expect(procStat("")).toBeUndefined();
});
