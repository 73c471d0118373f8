/** The facts that retention judges by: what stands in a repository, without a clock, a network or a file. */

/** A backup. Times are ms since 1970. */
export interface Kept {
  id: string;
  type: "full" | "incremental" | "logical";
  parent: string | null;
  started: number;
  finished: number;
  /** Of a physical one; a segment is the 16 digits of its name that follow the timeline. */
  wal: {
    timeline: number;
    start: string;
    endTimeline: number;
    endLsn: bigint;
    end: string;
    segmentBytes: number;
  } | null;
  /** Every stored byte was read back and matched, and nothing worse became known since. */
  verified: boolean;
  pinned: boolean;
  /** The databases of a logical one. */
  databases: readonly string[];
}

/** What a history file says: the line of timelines that it came from, each with the LSN at which the line left it, the oldest first. */
export interface Line {
  timeline: number;
  from: readonly { timeline: number; until: bigint }[];
}

/** A file of `wal/` by the name that PostgreSQL gave it; what hangs on it (`.partial`, `.backup`) counts as the segment. */
export interface Segment {
  timeline: number;
  segment: string;
  name: string;
  /** When it came into the repository, ms since 1970. */
  at: number;
}

export interface Holdings {
  backups: readonly Kept[];
  /** Of every timeline but the first one; another one that is missing has an unknown history, and its WAL stays. */
  lines: readonly Line[];
  segments: readonly Segment[];
}

/** The timelines that lead to `timeline`, itself at the end with no limit; undefined where nobody knows. */
export function lineTo(
  timeline: number,
  lines: ReadonlyMap<number, Line>,
): { timeline: number; until: bigint | null }[] | undefined {
  const line = lines.get(timeline);
  return line && [...line.from, { timeline, until: null }];
}

/** True when recovery that starts from the backup can reach `timeline`; undefined where nobody knows. */
export function leadsTo(
  { wal }: Kept,
  timeline: number,
  lines: ReadonlyMap<number, Line>,
): boolean | undefined {
  if (wal === null) return false;
  const line = lineTo(timeline, lines);
  if (line === undefined) return undefined;
  // It is consistent at its end: a line that has gone its own way before can't be reached from it.
  const end = line.find((one) => one.timeline === wal.endTimeline);
  return end !== undefined && (end.until === null || wal.endLsn <= end.until);
}
