/** What ought to be in the archive and is not: from the oldest backup's start over the chain of timelines to where the cluster is now. Pure. */
import { parseLsn } from "../../engine/shared/units.ts";
import type { Catalogue } from "./catalogue.ts";
import { type Gap, gapsOf } from "./continuity.ts";
import { historyFile, segmentFile, startOf } from "./segments.ts";
import {
  type Ancestor,
  type Histories,
  isOnPath,
  pathTo,
  type Stretch,
  timelineFor,
} from "./timelines.ts";

/** Where the primary is, and what it has still to archive. */
export interface Position {
  timeline: number;
  lsn: bigint;
  segmentBytes: number;
  /** Of the timeline that it is on, as its own file tells it; null where that can't be read. */
  history: Ancestor[] | null;
  /** Segments that its archiver has still to bring. */
  ready: ReadonlySet<string>;
}

export interface Missing {
  timeline: number;
  /** Where the search began; null when there is nothing to begin with: no backup and no WAL. */
  from: bigint | null;
  gaps: FoundGap[];
  /** The names of all missing segments, oldest first. */
  segments: string[];
  /** Not there yet, and the primary is about to bring them. */
  waiting: string[];
  /** Missing history files. */
  histories: string[];
  /** The histories of the cluster's timelines by their numbers. */
  known: Histories;
}

export interface FoundGap extends Gap {
  /** It reaches exactly from one backup's end to the next one's start: retention leaves such a hole too. */
  between_backups: boolean;
}

export function missingOf(catalogue: Catalogue, position: Position | null): Missing {
  const { runs, backups } = catalogue;
  const segmentBytes = position?.segmentBytes ?? catalogue.segmentBytes;
  const histories = new Map(catalogue.histories);
  // The server's own word: the file in the repository may be missing, or that of another server on a timeline of that number.
  if (position?.history) histories.set(position.timeline, position.history);
  const seen = runs.map(({ timeline }) => timeline);
  const timeline =
    position?.timeline ??
    (seen.length + histories.size === 0 ? 1 : timelineFor(histories, seen, {}));
  const path = pathTo(histories, timeline);
  const from = beginning(catalogue, path, segmentBytes);
  const none: Missing = {
    timeline,
    from,
    gaps: [],
    segments: [],
    waiting: [],
    histories: [],
    known: histories,
  };
  if (from === null) return none;
  const until =
    position === null
      ? {}
      : // The segment that the server writes now is nobody's gap.
        { until: startOf(position.lsn / BigInt(segmentBytes), segmentBytes) };
  const segments: string[] = [];
  const waiting: string[] = [];
  const gaps: FoundGap[] = [];
  for (const gap of gapsOf(runs, path, { from, segmentBytes, ...until })) {
    let hole: FoundGap | undefined;
    for (let number = gap.first; number <= gap.last; number += 1n) {
      const file = segmentFile({ timeline: gap.timeline, number }, segmentBytes);
      if (position?.ready.has(file)) {
        waiting.push(file);
        hole = undefined;
        continue;
      }
      segments.push(file);
      if (hole === undefined) {
        hole = { ...gap, first: number, first_file: file, between_backups: false };
        gaps.push(hole);
      }
      hole.last = number;
      hole.last_file = file;
    }
  }
  for (const gap of gaps) gap.between_backups = isBetween(gap, backups, segmentBytes);
  return {
    ...none,
    gaps,
    segments,
    waiting,
    histories: path
      .filter(
        (one, index) => index > 0 && one.from > from && !catalogue.histories.has(one.timeline),
      )
      .map((one) => historyFile(one.timeline)),
  };
}

/** The oldest physical backup's start on the path; without a backup the oldest WAL on it. */
function beginning(
  { backups, runs }: Catalogue,
  path: readonly Stretch[],
  segmentBytes: number,
): bigint | null {
  const starts: bigint[] = [];
  for (const { summary } of backups) {
    if (summary.wal === null) continue;
    if (isOnPath(path, summary.wal.end_timeline, parseLsn(summary.wal.end_lsn)))
      starts.push(parseLsn(summary.wal.start_lsn));
  }
  if (starts.length === 0)
    for (const { timeline, first } of runs) {
      const start = startOf(first, segmentBytes);
      const stretch = path.find((one) => one.timeline === timeline);
      if (stretch && (stretch.until === null || start < stretch.until)) starts.push(start);
    }
  return starts.length === 0 ? null : starts.reduce((a, b) => (a < b ? a : b));
}

function isBetween(gap: Gap, backups: Catalogue["backups"], segmentBytes: number): boolean {
  const before = segmentFile({ timeline: gap.timeline, number: gap.first - 1n }, segmentBytes);
  const after = segmentFile({ timeline: gap.timeline, number: gap.last + 1n }, segmentBytes);
  return (
    backups.some(({ summary }) => summary.wal?.end_segment === before) &&
    backups.some(({ summary }) => summary.wal?.start_segment === after)
  );
}
