import { type Kept, leadsTo, type Line, lineTo, type Segment } from "./history.ts";

/**
 * The WAL that no kept backup needs, the oldest first. `onward` ones need all from their start on, on every timeline that can be reached
 * from it; each other needs what is between its start and its end, without which it can't be restored at all.
 */
export function unneeded(
  segments: readonly Segment[],
  kept: readonly Kept[],
  isOnward: (backup: Kept) => boolean,
  lines: ReadonlyMap<number, Line>,
): Segment[] {
  const physical = kept.filter(({ wal }) => wal !== null);
  // With no backup at all, WAL may be that of the first one, which is being taken.
  if (physical.length === 0) return [];
  const needs = new Map<number, Need>();
  const needOf = (timeline: number): Need => {
    let need = needs.get(timeline);
    if (need === undefined) {
      need = needOn(timeline, physical, isOnward, lines);
      needs.set(timeline, need);
    }
    return need;
  };
  const gone = segments.filter(({ timeline, segment }) => {
    const { from, spans } = needOf(timeline);
    return segment < from && !spans.some((one) => segment >= one.start && segment <= one.end);
  });
  return gone.toSorted((a, b) =>
    a.segment === b.segment ? a.timeline - b.timeline : a.segment < b.segment ? -1 : 1,
  );
}

interface Need {
  /** The first segment from which on all are needed. */
  from: string;
  spans: { start: string; end: string }[];
}

const FIRST = "";
const NONE = "~";

function needOn(
  timeline: number,
  kept: readonly Kept[],
  isOnward: (backup: Kept) => boolean,
  lines: ReadonlyMap<number, Line>,
): Need {
  const line = lineTo(timeline, lines);
  if (line === undefined) return { from: FIRST, spans: [] };
  let from = NONE;
  const spans: Need["spans"] = [];
  for (const backup of kept) {
    const wal = backup.wal!;
    if (isOnward(backup) && leadsTo(backup, timeline, lines) === true && wal.start < from)
      from = wal.start;
    // Taken from a standby, it may begin on one timeline and end on the next.
    const own = lineTo(wal.endTimeline, lines);
    const passes = own?.some((one) => one.timeline === timeline) ?? timeline <= wal.endTimeline;
    if (passes && timeline >= wal.timeline) spans.push({ start: wal.start, end: wal.end });
  }
  return { from, spans };
}
