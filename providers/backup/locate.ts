/** Finds a target in WAL itself: where a recovery to it stops, and what proves that the WAL reaches so far. */
import { PgdbaError } from "../../engine/errors.ts";
import type { Repository, Signalled } from "../repository/contract.ts";
import { walName } from "../repository/layout.ts";
import { segmentsOf } from "./continuity.ts";
import { damaged } from "./damaged.ts";
import type { HeldSegment, Holdings } from "./holdings.ts";
import { type Micros, micros } from "./instant.ts";
import { segmentFile, startOf } from "./segments.ts";
import type { Stretch } from "./timelines.ts";
import { type WalMark, WalReader } from "./wal-records.ts";
import { decompressed } from "./wal/zstd.ts";

export interface Located {
  /** The last record with a time that is replayed, and the last transaction; null when none was seen. */
  last: WalMark | null;
  commit: WalMark | null;
  /** The first record that is not replayed; null where WAL ends before it. */
  next: WalMark | null;
  /** How much was read for it. */
  segments: number;
}

/** WAL as it is read for a path, one segment after the other. */
export interface WalSource {
  holdings: Holdings;
  path: readonly Stretch[];
  /** From the segment with the start of a backup on. */
  from: bigint;
  read: (segment: HeldSegment, options: Signalled) => Promise<Buffer>;
  /** Told before each segment. */
  progress?: (done: number, text: string) => void;
  signal?: AbortSignal | undefined;
}

/** Reads segments of a repository, which keeps them compressed. */
export function segmentReader(repository: Pick<Repository, "read">): WalSource["read"] {
  return async ({ file, source }, options) => {
    const name = walName(source, file);
    const stream = await repository.read(name, options);
    if (stream === null) {
      throw new PgdbaError("repository_failed", `${name} was listed, and is not there any more`, {
        hint: "Another run removes WAL at this moment. Try again.",
        retryable: true,
      });
    }
    return Buffer.concat(await Array.fromAsync(decompressed(stream, name)));
  };
}

/**
 * The segments that hold the moments around `at` are found by when they were archived, and then read on, or back, until a record before it and a
 * record after it were seen: the clocks of repository and server need not agree.
 */
export async function locateTime(source: WalSource, at: Micros): Promise<Located> {
  const all = heldOnPath(source);
  let index = all.findIndex((one) => micros(one.at) >= at);
  if (index === -1) index = Math.max(0, all.length - 1);
  let count = 0;
  let back: Located | null = null;
  for (let first = index; first >= 0; first -= 1) {
    // Going back, only the one before has to be read; what comes after it was read already.
    const part = back === null ? all.slice(first) : all.slice(first, first + 1);
    const found = await scan(source, part, (mark) => mark.time > at);
    count += found.segments;
    const next: WalMark | null = back === null ? found.next : (found.next ?? back.next);
    const located: Located = { ...found, next, segments: count };
    if ((found.last !== null && latestOf(found.last) <= at) || first === 0) return located;
    back = located;
  }
  return { last: null, commit: null, next: back?.next ?? null, segments: count };
}

/** A checkpoint's time has no fraction of its second. */
export const latestOf = ({ kind, time }: WalMark): Micros =>
  kind === "checkpoint" ? time + 999_999n : time;

/** A restore point, or the end of a transaction: all WAL is read for it, from the first segment on. */
export async function locateMark(
  source: WalSource,
  is: (mark: WalMark) => boolean,
): Promise<{ mark: WalMark | null; segments: number }> {
  const { next, segments } = await scan(source, heldOnPath(source), is);
  return { mark: next, segments };
}

/** The newest moment that WAL tells of, from its end back; at most so many segments are read. */
export async function newestMark(source: WalSource, most = 4): Promise<WalMark | null> {
  const all = heldOnPath(source);
  for (let index = all.length - 1; index >= Math.max(0, all.length - most); index -= 1) {
    const { last } = await scan(source, all.slice(index, index + 1), () => false);
    if (last !== null) return last;
  }
  return null;
}

/** Up to the first mark that `stops`; of a path, what lies beyond the end of its timeline does not count. */
async function scan(
  source: WalSource,
  segments: readonly HeldSegment[],
  stops: (mark: WalMark) => boolean,
): Promise<Located> {
  const { holdings, path } = source;
  const reader = new WalReader();
  let last: WalMark | null = null;
  let commit: WalMark | null = null;
  let count = 0;
  for (const segment of segments) {
    source.signal?.throwIfAborted();
    source.progress?.(count, segment.file);
    const bytes = await source.read(segment, { signal: source.signal });
    count += 1;
    // A segment that was cut short would pass for the end of WAL.
    if (bytes.length !== holdings.segmentBytes)
      throw damaged(
        segment.file,
        `it has ${bytes.length} bytes, and ${holdings.segmentBytes} belong there`,
      );
    const until = path.find(({ timeline }) => timeline === segment.timeline)?.until ?? null;
    for (const mark of reader.read(startOf(segment.number, holdings.segmentBytes), bytes)) {
      if (until !== null && mark.end > until) continue;
      if (stops(mark)) return { last, commit, next: mark, segments: count };
      last = mark;
      if (mark.kind === "commit") commit = mark;
    }
  }
  return { last, commit, next: null, segments: count };
}

function heldOnPath({ holdings, path, from }: WalSource): HeldSegment[] {
  const { segmentBytes, runs } = holdings;
  const byFile = new Map(holdings.segments.map((one) => [one.file, one]));
  return [...segmentsOf(runs, path, { from, segmentBytes })].map((segment) =>
    byFile.get(segmentFile(segment, segmentBytes))!,
  );
}
