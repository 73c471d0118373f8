/** Streams far more WAL than it may hold, and tells how many MB it held. */
import { release } from "../../../engine/shared/release.ts";
import { SegmentSink } from "../../../providers/backup/receive/sink.ts";
import { startOf } from "../../../providers/backup/segments.ts";
import { peakMemory } from "../../support/peak-memory.ts";
import { emptySegment, KEY } from "./empty-segment.ts";

const SEGMENT = 16 << 20;
const sink = new SegmentSink({
  key: KEY,
  repository: { create: async () => "made" } as never,
  timeline: 1,
  start: startOf(1n, SEGMENT),
  segmentBytes: SEGMENT,
  until: null,
  signal: new AbortController().signal,
  kept: async () => {},
  failed: (error) => {
    throw error;
  },
  log: () => {},
  tell: () => {},
});
for (let number = 1; number <= 60; number++) {
  const bytes = emptySegment(number, SEGMENT);
  await sink.take({ at: startOf(BigInt(number), SEGMENT), bytes });
  release(bytes);
}
console.log(Math.round(peakMemory() / 1024));
