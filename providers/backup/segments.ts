/** The names of WAL segments and history files, and the positions in WAL that they stand for. A segment's size is the server's, not 16 MB. */
import { PgdbaError } from "../../engine/errors.ts";

export interface Segment {
  timeline: number;
  /** Counted from the beginning of WAL: `lsn / size`. */
  number: bigint;
}

const NAME = /^[0-9A-F]{24}$/;
const HISTORY = /^([0-9A-F]{8})\.history$/;
/** PostgreSQL's limits: a power of two from 1 MB to 1 GB. */
const LEAST_BYTES = 1 << 20;
const MOST_BYTES = 1 << 30;

/** Null for what is no whole segment: a partial one, a history file, a name with a number that this size does not have. */
export function parseSegment(file: string, segmentBytes: number): Segment | null {
  if (!NAME.test(file)) return null;
  const part = (at: number) => Number.parseInt(file.slice(at, at + 8), 16);
  const [timeline, rest] = [part(0), part(16)];
  const perLog = Number(segmentsPerLog(segmentBytes));
  if (timeline === 0 || rest >= perLog) return null;
  // Below 2 to the power of 44.
  return { timeline, number: BigInt(part(8) * perLog + rest) };
}

export function segmentFile({ timeline, number }: Segment, segmentBytes: number): string {
  const perLog = segmentsPerLog(segmentBytes);
  return hex(timeline) + hex(number / perLog) + hex(number % perLog);
}

/** The segment with the byte at `lsn`. */
export function segmentAt(timeline: number, lsn: bigint, segmentBytes: number): Segment {
  return { timeline, number: lsn / BigInt(segmentBytes) };
}

/** The segment with the last byte before `lsn`, as PostgreSQL names the last one that a backup needs. */
export function segmentBefore(timeline: number, lsn: bigint, segmentBytes: number): Segment {
  return segmentAt(timeline, lsn === 0n ? 0n : lsn - 1n, segmentBytes);
}

export function startOf(number: bigint, segmentBytes: number): bigint {
  return number * BigInt(segmentBytes);
}

export const historyFile = (timeline: number) => `${hex(timeline)}.history`;

/** The timeline whose history the file is; null for any other file. */
export function parseHistoryFile(file: string): number | null {
  const found = HISTORY.exec(file);
  return found ? Number.parseInt(found[1]!, 16) : null;
}

export const timelineText = (timeline: number) => hex(timeline);

function segmentsPerLog(segmentBytes: number): bigint {
  const isPower = Number.isInteger(Math.log2(segmentBytes));
  if (!isPower || segmentBytes < LEAST_BYTES || segmentBytes > MOST_BYTES) {
    throw new PgdbaError("step_refused", `A WAL segment can't have ${segmentBytes} bytes`, {
      hint: "PostgreSQL's segments have 1 MB to 1 GB, a power of two: `show wal_segment_size`.",
    });
  }
  return 0x1_0000_0000n / BigInt(segmentBytes);
}

function hex(value: number | bigint): string {
  return value.toString(16).toUpperCase().padStart(8, "0");
}
