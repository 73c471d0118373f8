/**
 * Says what is wrong with what retention decided about a life. It replays WAL as PostgreSQL would, by the tree of timelines as it really
 * was, and shares no code with what it judges.
 */
import type { Kept } from "../../../../steps/backup/retention/history.ts";
import type { Retained } from "../../../../steps/backup/retention/retain.ts";
import { type Branch, type Life, numberOf } from "./random.ts";

const DAY = 86_400_000;

export function faultsOf(life: Life, { remove, wal, backups: told, refused }: Retained): string[] {
  const faults: string[] = [];
  const { backups, segments } = life.holdings;
  const { policy } = life;
  const gone = new Set(remove);
  const kept = backups.filter(({ id }) => !gone.has(id));
  const byId = new Map(backups.map((one) => [one.id, one]));
  const goneWal = new Set(wal.map(({ name }) => name));
  const before = new Set(segments.map(placeOf));
  const after = new Set(segments.filter(({ name }) => !goneWal.has(name)).map(placeOf));

  for (const { id, stays, why } of told) {
    if (stays === gone.has(id)) faults.push(`${id} is told to ${stays ? "stay" : "go"}`);
    if (why.length === 0) faults.push(`${id} has no reason`);
  }
  if (told.length !== backups.length) faults.push("not every backup is told of");
  for (const { id, parent } of kept)
    if (parent !== null && gone.has(parent)) faults.push(`${id} has lost its parent ${parent}`);
  for (const [at, id] of remove.entries())
    for (const child of backups)
      if (child.parent === id && gone.has(child.id) && remove.indexOf(child.id) > at)
        faults.push(`${id} goes before its child ${child.id}`);
  for (const { id, pinned } of backups) if (pinned && gone.has(id)) faults.push(`${id} is pinned`);

  const ownEnd = ({ wal }: Kept) => place(wal!.endTimeline, numberOf(wal!.end));
  // Every kept backup that could be restored to its own end still can.
  for (const backup of kept) {
    if (backup.wal === null) continue;
    const to = ownEnd(backup);
    if (reaches(backup, to, before, life) && !reaches(backup, to, after, life))
      faults.push(`${backup.id} has lost WAL between its start and its end`);
  }

  const isGood = (one: Kept): boolean =>
    one.verified &&
    (one.wal === null || reaches(one, ownEnd(one), before, life)) &&
    (one.parent === null || isGood(byId.get(one.parent)!));
  for (const series of Map.groupBy(backups, seriesOf).values()) {
    const inOrder = series.toSorted((a, b) => a.started - b.started);
    const touched = inOrder.some(({ id }) => gone.has(id));
    if (touched && !isGood(inOrder.at(-1)!))
      faults.push("acted beside an unverified newest backup");
    const fulls = inOrder.filter((one) => one.type !== "incremental" && isGood(one));
    const newest = fulls.at(-1);
    if (newest !== undefined && gone.has(newest.id))
      faults.push(`${newest.id} is the newest verified one`);
    for (const full of fulls.slice(-(policy.keepFull ?? 1)))
      if (gone.has(full.id)) faults.push(`${full.id} is one of the newest ${policy.keepFull}`);
    if (policy.keepDays !== undefined)
      for (const one of inOrder)
        if (one.finished > life.now - policy.keepDays * DAY && gone.has(one.id))
          faults.push(`${one.id} is younger than ${policy.keepDays} days`);
    for (const [period, most] of Object.entries(policy.gfs ?? {}))
      if (most !== undefined)
        for (const one of lastOfEach(inOrder.filter(isGood), period, most, policy.zone))
          if (gone.has(one.id)) faults.push(`${one.id} is the last of its ${period} bucket`);
  }

  // What could be restored can be restored: the end of the newest timeline in any case, and each moment within the days.
  const fulls = backups.filter((one) => one.type === "full" && isGood(one));
  const from = policy.keepDays === undefined ? Infinity : life.now - policy.keepDays * DAY;
  const newest = Math.max(...life.branches.keys());
  const last = segments.findLast(({ timeline }) => timeline === newest);
  for (const segment of segments) {
    if (segment.at <= from && segment !== last) continue;
    const to = place(segment.timeline, numberOf(segment.segment));
    const could = fulls.some((one) => reaches(one, to, before, life));
    if (could && !fulls.some((one) => !gone.has(one.id) && reaches(one, to, after, life)))
      faults.push(`${segment.name} can't be restored any more`);
  }
  const newestStarts = new Set(kept.filter(({ wal }) => wal !== null).map(({ wal }) => wal!.start));
  if (newestStarts.size === 0 && wal.length > 0)
    faults.push("WAL was removed, and there is no backup");
  if (
    refused.some(({ reason }) => ["clock", "no_policy", "more_than_half"].includes(reason)) &&
    remove.length + wal.length > 0
  )
    faults.push("acted in spite of a refusal");
  return faults;
}

interface Place {
  timeline: number;
  number: number;
}
const place = (timeline: number, number: number): Place => ({ timeline, number });
const placeOf = ({ timeline, segment }: { timeline: number; segment: string }) =>
  `${timeline}/${numberOf(segment)}`;
const seriesOf = ({ type, databases }: Kept) => (type === "logical" ? databases.join() : "");

/** Goes from the backup's first segment to a place, segment by segment, always on the line that leads there. */
function reaches(backup: Kept, to: Place, there: ReadonlySet<string>, { branches }: Life): boolean {
  const wal = backup.wal!;
  const line: Branch[] = [];
  for (
    let branch: Branch | null = branches.get(to.timeline)!;
    branch !== null;
    branch = branch.parent
  )
    line.unshift(branch);
  const owner = (number: number) => line.findLast(({ at }) => at <= number)!.id;
  if (to.number < numberOf(wal.end) || !line.some(({ id }) => id === wal.timeline)) return false;
  // It is consistent at its end: a line that left its timeline before that can't be followed.
  const own = line.findIndex(({ id }) => id === wal.endTimeline);
  const next = line[own + 1];
  if (own === -1 || (next !== undefined && next.lsn < wal.endLsn)) return false;
  for (let number = numberOf(wal.start); number <= to.number; number++)
    if (!there.has(`${owner(number)}/${number}`)) return false;
  return true;
}

/** By the calendar that the language has. */
function lastOfEach(backups: Kept[], period: string, most: number, zone: string): Kept[] {
  const last = new Map<string, Kept>();
  for (const one of backups.toSorted((a, b) => a.finished - b.finished))
    last.set(bucket(one.finished, period, zone), one);
  return [...last.values()].slice(-most);
}

const buckets = new Map<string, string>();

function bucket(at: number, period: string, zone: string): string {
  const key = `${at}${period}${zone}`;
  const known = buckets.get(key);
  if (known !== undefined) return known;
  if (buckets.size > 50_000) buckets.clear();
  const day = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
  const names: Record<string, string> = {
    daily: `${day.year}-${day.month}-${day.day}`,
    weekly: `${day.yearOfWeek}w${day.weekOfYear}`,
    monthly: `${day.year}-${day.month}`,
    yearly: `${day.year}`,
  };
  buckets.set(key, names[period]!);
  return names[period]!;
}
