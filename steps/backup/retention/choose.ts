import { bucketOf } from "./buckets.ts";
import { type Kept, leadsTo, type Line } from "./history.ts";
import { PERIODS, type Policy } from "./policy.ts";

const DAY = 86_400_000;

/** Why a backup stays. `onward`: it can be brought forward by WAL for as long as it stays; without it, it is kept as it is. */
export interface Reason {
  why: string;
  onward: boolean;
}
export type Reasons = Map<string, Reason[]>;

/**
 * The backups of one series that stay, each with the reasons. `series` is in the order of their starts, the oldest first. Whatever the
 * policy says, the newest verified full one stays, and so does one that leads to the newest timeline.
 */
export function choose(
  series: readonly Kept[],
  policy: Policy,
  now: number,
  /** The last time that WAL of each timeline came in; empty for backups that WAL can't bring forward. */
  lives: ReadonlyMap<number, number>,
  lines: ReadonlyMap<number, Line>,
): Reasons {
  const reasons: Reasons = new Map();
  const keep = (backup: Kept, why: string, onward: boolean) => {
    const list = reasons.get(backup.id);
    if (list === undefined) reasons.set(backup.id, [{ why, onward }]);
    else if (!list.some((one) => one.why === why)) list.push({ why, onward });
  };
  /** All from this one on: nothing that came later may lose what it stands on. */
  const keepFrom = (first: Kept, why: string) => {
    keep(first, why, true);
    for (const backup of series)
      if (backup !== first && backup.started >= first.started)
        keep(backup, `newer than ${first.id}`, true);
  };
  const fulls = series.filter(({ type, verified }) => verified && type !== "incremental");
  const newest = fulls.at(-1);
  if (newest !== undefined) keepFrom(newest, "the newest verified full one");
  const keepLeading = (timeline: number, until: number) => {
    const leads = fulls.findLast(
      (full) => full.finished <= until && leadsTo(full, timeline, lines) === true,
    );
    if (leads !== undefined) keep(leads, `the newest that leads to timeline ${timeline}`, true);
  };
  if (lives.size > 0) keepLeading(Math.max(...lives.keys()), Infinity);
  const { keepFull, keepDays, gfs = {}, zone } = policy;
  if (keepFull !== undefined && newest !== undefined) {
    const first = fulls[Math.max(0, fulls.length - Math.max(1, keepFull))]!;
    keepFrom(first, `one of the newest ${keepFull} verified full ones`);
    for (const full of fulls)
      if (full.started >= first.started)
        keep(full, `one of the newest ${keepFull} verified full ones`, true);
    // Before there are as many, nothing goes that could become one of them.
    if (fulls.length < keepFull)
      for (const backup of series)
        keep(backup, `there are no ${keepFull} verified full ones yet`, true);
  }
  if (keepDays !== undefined && newest !== undefined) {
    // Where backups have stopped, or the clock runs ahead, the window stands still with the newest one.
    const from = Math.min(now, newest.finished) - keepDays * DAY;
    const first = fulls.findLast(({ finished }) => finished <= from);
    if (first !== undefined) keepFrom(first, `the last before the ${keepDays} days`);
    for (const backup of series)
      if (first === undefined || backup.finished > from)
        keep(backup, `within ${keepDays} days`, true);
    // A line that was written in these days may have branched off before the backup that is enough for the others.
    for (const [timeline, last] of lives) if (last > from) keepLeading(timeline, from);
  }
  const verified = series
    .filter((backup) => backup.verified)
    .toSorted((a, b) => a.finished - b.finished);
  for (const period of PERIODS) {
    const most = gfs[period] ?? 0;
    if (most === 0) continue;
    const last = new Map<string, Kept>();
    for (const backup of verified) last.set(bucketOf(period, backup.finished, zone), backup);
    for (const backup of [...last.values()].slice(-most))
      keep(backup, `the last of a ${WORD[period]}`, false);
  }
  for (const backup of series) if (backup.pinned) keep(backup, "pinned", false);
  closeOverParents(series, reasons);
  return reasons;
}

const WORD = { daily: "day", weekly: "week", monthly: "month", yearly: "year" } as const;

/** An incremental one is nothing without its parent. */
function closeOverParents(series: readonly Kept[], reasons: Reasons): void {
  const byId = new Map(series.map((backup) => [backup.id, backup]));
  // What is added on the way is come to as well.
  for (const id of reasons.keys()) {
    const parent = byId.get(byId.get(id)?.parent ?? "");
    if (parent === undefined) continue;
    const known = reasons.get(parent.id) ?? [];
    reasons.set(parent.id, [...known, { why: `${id} builds on it`, onward: false }]);
  }
}
