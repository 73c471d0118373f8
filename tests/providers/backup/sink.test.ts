/** A repository that is slower than the server which streams WAL. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { SegmentSink } from "../../../providers/backup/receive/sink.ts";
import { startOf } from "../../../providers/backup/segments.ts";
import { emptySegment, KEY } from "./empty-segment.ts";

const SEGMENT = 1 << 20;

function slow() {
  const kept: string[] = [];
  const waiting: (() => void)[] = [];
  const aborter = new AbortController();
  const { signal } = aborter;
  let listeners = 0;
  const counted = <T extends "addEventListener" | "removeEventListener">(name: T, by: number) => {
    const own = signal[name].bind(signal) as (...given: unknown[]) => void;
    Object.assign(signal, { [name]: (...given: unknown[]) => ((listeners += by), own(...given)) });
  };
  counted("addEventListener", 1);
  counted("removeEventListener", -1);
  const repository = {
    async create(name: string) {
      await new Promise<void>((done) => waiting.push(done));
      kept.push(name.slice(-12, -4));
    },
  };
  const sink = new SegmentSink({
    key: KEY,
    repository: repository as never,
    timeline: 1,
    start: startOf(1n, SEGMENT),
    segmentBytes: SEGMENT,
    until: null,
    signal,
    kept: async () => {},
    failed: (error) => aborter.abort(error),
    log: () => {},
    tell: () => {},
  });
  const take = (number: number) =>
    sink.take({ at: startOf(BigInt(number), SEGMENT), bytes: emptySegment(number, SEGMENT) });
  const keepOne = async () => {
    while (waiting.length === 0) await Bun.sleep(1);
    waiting.shift()!();
  };
  return { kept, aborter, take, keepOne, listeners: () => listeners };
}

test("more is taken when a segment is kept, and nothing of the wait is left behind", async () => {
  const { kept, take, keepOne, listeners } = slow();
  await take(1);
  await take(2);
  for (const number of [3, 4, 5]) {
    let taken = false;
    const third = take(number).then(() => (taken = true));
    await Bun.sleep(5);
    expect(taken).toBe(false);
    await keepOne();
    await third;
  }
  expect([kept, listeners()]).toEqual([["00000001", "00000002", "00000003"], 0]);
});

test("whoever waits hears at once that the stream is over", async () => {
  const { take, aborter } = slow();
  await take(1);
  await take(2);
  const third = take(3);
  aborter.abort(new PgdbaError("interrupted", "the stream is over"));
  await expect(third).rejects.toMatchObject({ code: "interrupted" });
});

test("WAL of any length is streamed in the same memory", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "sink-child.ts")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const megabytes = Number(await new Response(child.stdout).text());
  expect(await child.exited).toBe(0);
  // 960 MB passed.
  expect(megabytes).toBeLessThan(220);
}, 300_000);
