import { parseLsn } from "../../../engine/shared/units.ts";
import { addHistories, backupsOf, type HeldBackup } from "../../../providers/backup/holdings.ts";
import type { Ancestor } from "../../../providers/backup/timelines.ts";
import {
  type ClusterKey,
  keyOf,
  markPrefix,
  walPrefix,
} from "../../../providers/repository/layout.ts";
import type { Repository, Signalled, Stored } from "../../../providers/repository/contract.ts";
import type { Holdings, Kept, Segment } from "./history.ts";

/** A whole segment, a part of one, or the label of a backup: what PostgreSQL archives beside histories, which stay. */
const WAL = /^([0-9A-F]{8})([0-9A-F]{16})(\.partial|\.[0-9A-F]{8}\.backup)?\.zst$/;

export interface Gathered {
  holdings: Holdings;
  backups: HeldBackup[];
}

/** All that a repository holds of a cluster's own part. The names of segments are those of their objects. */
export async function gather(
  repository: Repository,
  key: ClusterKey,
  options: Signalled,
): Promise<Gathered> {
  const backups = await backupsOf(repository, key, options);
  const histories = new Map<number, Ancestor[]>();
  await addHistories(histories, repository, { key, until: null }, options);
  const segments: Segment[] = [];
  for await (const { name, at } of repository.list(walPrefix(key), options)) {
    const [, timeline, segment] = WAL.exec(name.slice(name.lastIndexOf("/") + 1)) ?? [];
    if (timeline !== undefined && segment !== undefined)
      segments.push({ timeline: Number.parseInt(timeline, 16), segment, name, at: at.getTime() });
  }
  const lines = [...histories].map(([timeline, from]) => ({ timeline, from }));
  return { backups, holdings: { backups: backups.map(keptOf), lines, segments } };
}

function keptOf({ record, quality, damaged, marks }: HeldBackup): Kept {
  const { wal } = record;
  const good =
    [marks.verified, marks.drilled]
      .filter((at) => at !== undefined)
      .toSorted()
      .at(-1) ?? "";
  return {
    id: record.id,
    type: record.type,
    parent: record.parent,
    started: Date.parse(record.started_at),
    finished: Date.parse(record.finished_at),
    wal:
      wal === null
        ? null
        : {
            timeline: wal.timeline,
            start: wal.start_segment.slice(8),
            endTimeline: wal.end_timeline,
            endLsn: parseLsn(wal.end_lsn),
            end: wal.end_segment.slice(8),
            segmentBytes: record.server.segment_bytes,
          },
    // What failed in a drill since can't be relied on, though its bytes are as they were.
    verified:
      quality !== "complete" &&
      !damaged &&
      !(marks.drill_failed !== undefined && marks.drill_failed > good),
    pinned: isPinned(marks),
    databases: record.parts.flatMap(({ database }) => (database === undefined ? [] : [database])),
  };
}

function isPinned(marks: HeldBackup["marks"]): boolean {
  return marks.pinned !== undefined && marks.pinned > (marks.unpinned ?? "");
}

/** What a backup that was not finished, or a removal that was cut, has left: not touched for two days. */
export const ABANDONED_MS = 2 * 86_400_000;

/** Objects that belong to no backup; `ids` are those of the backups. One that is being taken has no record either, but was written to a short while ago. */
export async function garbageOf(
  repository: Repository,
  key: ClusterKey,
  { ids, now }: { ids: ReadonlySet<string>; now: number },
  options: Signalled,
): Promise<string[]> {
  const garbage: string[] = [];
  for (const prefix of [`${keyOf(key)}/backup/`, markPrefix(key)]) {
    const byId = new Map<string, Stored[]>();
    for await (const stored of repository.list(prefix, options)) {
      const id = stored.name.slice(prefix.length).split(/[/.]/)[0]!;
      if (ids.has(id)) continue;
      const list = byId.get(id) ?? [];
      list.push(stored);
      byId.set(id, list);
    }
    for (const stored of byId.values())
      if (stored.every(({ at }) => at.getTime() < now - ABANDONED_MS))
        garbage.push(...stored.map(({ name }) => name));
  }
  return garbage;
}
