import { expect, test } from "bun:test";
import { standbys } from "../../../steps/sequence/widening/backfill.ts";
import { fakeContext } from "../../support/context.ts";

const MB = 1 << 20;

/** What the primary tells of its standby, look by look; the last look stays. */
function primary(looks: { lsn: string; bytes: number }[]) {
  let n = 0;
  const ask = async () => ({ rows: [{ name: "pg2", ...looks[Math.min(n++, looks.length - 1)] }] });
  return { ask } as never;
}

test("a standby that stands still is waited for half an hour, and then named with what lets it go on", async () => {
  const ctx = fakeContext();
  const began = ctx.clock.monotonic();
  const looks = [
    { lsn: "0/1", bytes: 90 * MB },
    { lsn: "0/2", bytes: 80 * MB },
  ];
  const error = await standbys(ctx, primary(looks), 64 * MB).catch((thrown) => thrown);
  expect(error).toMatchObject({
    code: "timeout",
    message: "The standby pg2 has replayed nothing for 30 minutes and is 80.0 MB behind",
    hint: expect.stringContaining("pgdba replica replay-resume"),
    retryable: false,
  });
  const minutes = (ctx.clock.monotonic() - began) / 60_000;
  expect([minutes > 30, minutes < 31]).toEqual([true, true]);
});

test("one that gets on is waited for as long as it takes", async () => {
  const ctx = fakeContext();
  const hours = Array.from({ length: 3 * 60 * 60 }, (_, n) => ({
    lsn: `0/${Math.floor(n / 1000)}`,
    bytes: 90 * MB,
  }));
  await standbys(ctx, primary([...hours, { lsn: "1/0", bytes: 0 }]), 64 * MB);
  expect(ctx.clock.monotonic()).toBeGreaterThan(2.9 * 60 * 60_000);
});
