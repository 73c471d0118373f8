import { type Holdings, type Kept, type Line, lineTo } from "./history.ts";

/** Why a backup can't be relied on, by its id; without an entry it can. An incremental one is only as good as what it builds on. */
export function flawsOf(
  { backups, segments }: Holdings,
  lines: ReadonlyMap<number, Line>,
): Map<string, string> {
  const flaws = new Map<string, string>();
  const there = new Set(segments.map(({ timeline, segment }) => `${timeline}/${segment}`));
  for (const backup of backups) {
    const missing = backup.verified ? missingSegment(backup, there, lines) : null;
    if (!backup.verified) flaws.set(backup.id, "is not verified");
    else if (missing !== null)
      flaws.set(backup.id, `needs the WAL segment ${missing}, which is gone`);
  }
  const byId = new Map(backups.map((backup) => [backup.id, backup]));
  for (const backup of backups) {
    const broken = brokenLink(backup, byId, flaws);
    if (broken !== null && !flaws.has(backup.id))
      flaws.set(backup.id, `builds on ${broken}, which can't be relied on`);
  }
  return flaws;
}

/** Between its start and its end it needs every segment, on the timelines that it was taken on. */
function missingSegment(
  { wal }: Kept,
  there: ReadonlySet<string>,
  lines: ReadonlyMap<number, Line>,
): string | null {
  if (wal === null) return null;
  const line = lineTo(wal.endTimeline, lines) ?? [{ timeline: wal.endTimeline, until: null }];
  const end = numberOf(wal.end, wal.segmentBytes);
  let number = numberOf(wal.start, wal.segmentBytes);
  for (const { timeline, until } of line) {
    // The segment in which a line goes another way is written anew there.
    const after = until === null ? Infinity : Number(until / BigInt(wal.segmentBytes));
    for (; number <= end && number < after; number++) {
      const segment = nameOf(number, wal.segmentBytes);
      if (!there.has(`${timeline}/${segment}`)) return segment;
    }
  }
  return null;
}

function brokenLink(
  backup: Kept,
  byId: ReadonlyMap<string, Kept>,
  flaws: ReadonlyMap<string, string>,
): string | null {
  const seen = new Set([backup.id]);
  for (let id = backup.parent; id !== null; id = byId.get(id)!.parent) {
    if (seen.has(id) || !byId.has(id) || flaws.has(id)) return id;
    seen.add(id);
  }
  return null;
}

/** Segments as numbers in a row, and their names without the timeline. */
function numberOf(segment: string, segmentBytes: number): number {
  return (
    parseInt(segment.slice(0, 8), 16) * (2 ** 32 / segmentBytes) + parseInt(segment.slice(8), 16)
  );
}

function nameOf(number: number, segmentBytes: number): string {
  const perLog = 2 ** 32 / segmentBytes;
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, "0");
  return hex(Math.floor(number / perLog)) + hex(number % perLog);
}
