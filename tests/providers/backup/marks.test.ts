import { expect, test } from "bun:test";
import { isDamaged } from "../../../providers/backup/marks.ts";

test("a backup is damaged until it is found to be good later; of one second the worse counts", () => {
  const [early, late] = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"];
  expect(isDamaged({ verified: late })).toBe(false);
  expect(isDamaged({ damaged: early })).toBe(true);
  expect(isDamaged({ damaged: early, verified: late })).toBe(false);
  expect(isDamaged({ damaged: late, verified: early })).toBe(true);
  expect(isDamaged({ damaged: late, verified: late })).toBe(true);
});
