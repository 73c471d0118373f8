/** From when to when each timeline of a cluster can be restored, by a catalogue. Pure. */
import type { ArchivedRun, Catalogue, Listed } from "./catalogue.ts";
import { startsOn, type Start } from "./choose.ts";
import { type Gap, gapsOf } from "./continuity.ts";
import type { HeldBackup } from "./holdings.ts";
import { isDamaged } from "./marks.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import { pathTo, type Stretch } from "./timelines.ts";

export interface Window {
  timeline: number;
  /** When the oldest usable backup was finished; null where there is none. */
  earliest: string | null;
  /** When the last segment was archived that WAL comes to without a hole; a little less can be restored. */
  latest: string | null;
  /** Usable backups on the way to it. */
  backups: number;
  /** Holes since the oldest usable backup. */
  gaps: Gap[];
}

export interface Reached {
  windows: Window[];
  /** By backup: how far WAL comes from it without a hole, on the newest timeline that it leads to. Without one it can't be used. */
  until: Map<string, string | null>;
  /** Why a backup can't be used, by its id. */
  unfit: Map<string, string>;
}

export function windowsOf({ backups, histories, runs, segmentBytes }: Catalogue): Reached {
  const held = backups.map((one) => heldOf(one));
  const timelines = new Set([...runs.map(({ timeline }) => timeline), ...histories.keys()]);
  for (const { summary } of backups) if (summary.wal) timelines.add(summary.wal.end_timeline);
  const windows: Window[] = [];
  const until = new Map<string, string | null>();
  const unfit = new Map<string, string>();
  for (const timeline of [...timelines].toSorted((a, b) => a - b)) {
    const path = pathTo(histories, timeline);
    const found = startsOn({ segmentBytes, segments: [], runs, histories, backups: held }, path);
    for (const { id, why } of found.unfit) unfit.set(id, why);
    for (const one of found.starts) {
      // A later timeline that it leads to counts more.
      until.set(one.backup.record.id, latestOf(one, runs));
    }
    windows.push(windowOf(timeline, path, found.starts, runs, segmentBytes));
  }
  for (const id of until.keys()) unfit.delete(id);
  return { windows, until, unfit };
}

function heldOf(one: Listed): HeldBackup {
  return {
    // The columns of a list are all that is asked of it here.
    record: one.summary as unknown as HeldBackup["record"],
    source: one.summary.cluster,
    quality: "complete",
    damaged: isDamaged(one.marks),
    marks: one.marks,
  };
}

function windowOf(
  timeline: number,
  path: readonly Stretch[],
  starts: readonly Start[],
  runs: readonly ArchivedRun[],
  segmentBytes: number,
): Window {
  const [oldest] = starts;
  const newest = starts.at(-1);
  if (oldest === undefined || newest === undefined)
    return { timeline, earliest: null, latest: null, backups: 0, gaps: [] };
  const from = parseLsn(oldest.backup.record.wal!.start_lsn);
  return {
    timeline,
    earliest: oldest.backup.record.finished_at,
    latest: latestOf(newest, runs),
    backups: starts.length,
    gaps: gapsOf(runs, path, { from, segmentBytes }),
  };
}

function latestOf({ backup, last }: Start, runs: readonly ArchivedRun[]): string | null {
  const run =
    last &&
    runs.find(
      ({ timeline, first, last: end }) =>
        timeline === last.timeline && first <= last.number && last.number <= end,
    );
  // In the middle of a run where a path leaves a timeline: then nobody has kept when that one came.
  if (!run || run.last !== last?.number) return null;
  const archived = run.at.toISOString();
  // A segment that was archived while the backup ended brings it no less far than its own end.
  const finished = backup.record.finished_at;
  return archived < finished ? finished : archived;
}
