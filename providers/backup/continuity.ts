/** Which WAL there is without a hole, from nothing but the names of the segments in a repository. */
import { type Segment, segmentBefore, segmentFile, startOf } from "./segments.ts";
import type { Stretch } from "./timelines.ts";

/** Segments of one timeline that follow one another, both ends included. */
export interface Run {
  timeline: number;
  first: bigint;
  last: bigint;
}

/** By timeline and number; a segment that is named twice counts once. */
export function runsOf(segments: Iterable<Segment>): Run[] {
  const sorted = [...segments].toSorted(
    (a, b) => a.timeline - b.timeline || (a.number < b.number ? -1 : Number(a.number > b.number)),
  );
  const runs: Run[] = [];
  for (const { timeline, number } of sorted) {
    const last = runs.at(-1);
    if (last?.timeline === timeline && number <= last.last + 1n) last.last = number;
    else runs.push({ timeline, first: number, last: number });
  }
  return runs;
}

/** The segments that are missing between those that are there, oldest first. */
export interface Gap extends Run {
  first_file: string;
  last_file: string;
}

/**
 * The holes of a path between `from` and the last segment of it that is there, or `until`. A segment in which the path changes its timeline may
 * be there on either side: PostgreSQL reads it from the newer one, and writes it there with all that the older one had.
 */
export function gapsOf(
  runs: readonly Run[],
  path: readonly Stretch[],
  { from, until, segmentBytes }: { from: bigint; until?: bigint; segmentBytes: number },
): Gap[] {
  const gaps: Gap[] = [];
  let missing = null as Run | null;
  for (const part of stepsOf(runs, path, { from, segmentBytes, until })) {
    if (part.there) {
      if (missing) gaps.push(named(missing, segmentBytes));
      missing = null;
    } else if (missing?.timeline === part.timeline) missing.last = part.last;
    else {
      if (missing) gaps.push(named(missing, segmentBytes));
      missing = { timeline: part.timeline, first: part.first, last: part.last };
    }
  }
  // What is missing at the end is no hole: it was not written yet. Unless somebody needs it.
  if (missing && until !== undefined) gaps.push(named(missing, segmentBytes));
  return gaps;
}

/** How far WAL goes on a path without a hole from `from` on: the end of its last segment there; null when not even the first one is there. */
export function reachOf(
  runs: readonly Run[],
  path: readonly Stretch[],
  { from, segmentBytes }: { from: bigint; segmentBytes: number },
): { lsn: bigint; last: Segment } | null {
  let reach: { lsn: bigint; last: Segment } | null = null;
  for (const part of stepsOf(runs, path, { from, segmentBytes })) {
    if (!part.there) break;
    const end = startOf(part.last + 1n, segmentBytes);
    reach = {
      lsn: part.until !== null && part.until < end ? part.until : end,
      last: { timeline: part.timeline, number: part.last },
    };
  }
  return reach;
}

/** The segments that a recovery reads from `from` on, in order, as far as they are there. */
export function* segmentsOf(
  runs: readonly Run[],
  path: readonly Stretch[],
  { from, segmentBytes }: { from: bigint; segmentBytes: number },
): Generator<Segment> {
  for (const part of stepsOf(runs, path, { from, segmentBytes })) {
    if (!part.there) return;
    for (let number = part.first; number <= part.last; number += 1n)
      yield { timeline: part.timeline, number };
  }
}

interface Part extends Run {
  there: boolean;
  /** Where its stretch of the path ends. */
  until: bigint | null;
}

/** The path in pieces that are there or not there. At an end that is open, what is not there is left out. */
function* stepsOf(
  runs: readonly Run[],
  path: readonly Stretch[],
  { from, until, segmentBytes }: { from: bigint; until?: bigint | undefined; segmentBytes: number },
): Generator<Part> {
  for (const piece of piecesOf(runs, path, { from, until, segmentBytes })) {
    const own = runs.filter(({ timeline }) => timeline === piece.timeline);
    let next = piece.first;
    while (piece.last === null || next <= piece.last) {
      const run = own.find(({ last }) => last >= next);
      const isThere = run !== undefined && run.first <= next;
      if (!run && piece.last === null) break;
      const end: bigint = least(isThere ? run.last : run && run.first - 1n, piece.last);
      yield {
        timeline: piece.timeline,
        first: next,
        last: end,
        there: isThere,
        until: piece.until,
      };
      next = end + 1n;
    }
  }
}

interface Piece {
  timeline: number;
  first: bigint;
  /** Null at an open end. */
  last: bigint | null;
  until: bigint | null;
}

/**
 * The numbers that each timeline of a path answers for. The segment in which a timeline begins is its own: PostgreSQL writes it with all that the
 * one before had in it, and reads it from there.
 */
function piecesOf(
  runs: readonly Run[],
  path: readonly Stretch[],
  { from, until, segmentBytes }: { from: bigint; until?: bigint | undefined; segmentBytes: number },
): Piece[] {
  const size = BigInt(segmentBytes);
  const wanted = until === undefined ? null : segmentBefore(0, until, segmentBytes).number;
  const pieces: Piece[] = [];
  for (const [index, stretch] of path.entries()) {
    if (until !== undefined && index > 0 && stretch.from >= until) break;
    const following = path[index + 1];
    const isCut = until !== undefined && following !== undefined && until <= following.from;
    const open = stretch.until === null ? null : stretch.until / size - 1n;
    const last = isCut || open === null ? wanted : wanted === null ? open : least(open, wanted);
    const first = max(stretch.from / size, from / size);
    if (last !== null && last < first) continue;
    const piece = { timeline: stretch.timeline, first, last, until: stretch.until };
    // Up to where the next timeline begins, its first segment says the same as the last one of this timeline.
    const isInNext =
      isCut &&
      last !== null &&
      !has(runs, stretch.timeline, last) &&
      has(runs, following.timeline, last);
    if (!isInNext) pieces.push(piece);
    else {
      if (last > first) pieces.push({ ...piece, last: last - 1n });
      pieces.push({ ...piece, timeline: following.timeline, first: last });
    }
  }
  return pieces;
}

const least = (a: bigint | null | undefined, b: bigint | null): bigint =>
  a == null ? b! : b === null || a < b ? a : b;
const max = (a: bigint, b: bigint) => (a > b ? a : b);

const has = (runs: readonly Run[], timeline: number, number: bigint) =>
  runs.some((run) => run.timeline === timeline && run.first <= number && number <= run.last);

function named(run: Run, segmentBytes: number): Gap {
  const file = (number: bigint) => segmentFile({ timeline: run.timeline, number }, segmentBytes);
  return { ...run, first_file: file(run.first), last_file: file(run.last) };
}
