/** All that a repository holds of one cluster's life: its own part, and of its origins what happened before it left them. */
import { PgdbaError } from "../../engine/errors.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import {
  type ClusterKey,
  historyPrefix,
  keyOf,
  recordPrefix,
  walPrefix,
} from "../repository/layout.ts";
import type { Repository, Signalled } from "../repository/contract.ts";
import { type Run, runsOf } from "./continuity.ts";
import { isDamaged, type Marks, marksIn } from "./marks.ts";
import { recordsOf, textOf } from "./read-record.ts";
import type { BackupRecord, Quality } from "./record.ts";
import { type Segment, parseHistoryFile, parseSegment, segmentBefore } from "./segments.ts";
import { type Ancestor, type Stretch, isOnPath, parseHistory, pathTo } from "./timelines.ts";

/** A part of the repository that a recovery may read. `until`: where the cluster left it; what came later there is another's life. */
export interface Source {
  key: ClusterKey;
  until: { timeline: number; lsn: bigint } | null;
}

export interface HeldSegment extends Segment {
  file: string;
  /** When it was archived, by the repository's clock. */
  at: Date;
  source: ClusterKey;
}

export interface HeldBackup {
  record: BackupRecord;
  source: ClusterKey;
  quality: Quality;
  damaged: boolean;
  marks: Marks;
}

export interface Holdings {
  segmentBytes: number;
  segments: HeldSegment[];
  runs: Run[];
  histories: Map<number, Ancestor[]>;
  /** Oldest first. */
  backups: HeldBackup[];
}

/**
 * @param sources its own part first
 * @throws PgdbaError repository_failed | backup_damaged (a record that can't be read) | step_refused (a history)
 */
export async function gatherHoldings(
  repository: Pick<Repository, "list" | "names" | "read">,
  sources: readonly Source[],
  options: Signalled & { segmentBytes?: number } = {},
): Promise<Holdings> {
  const histories = new Map<number, Ancestor[]>();
  const backups: HeldBackup[] = [];
  const files: { file: string; at: Date; source: Source }[] = [];
  // The nearest part is read first, and what it has hides what an origin has under the same name.
  for (const source of sources) {
    await addHistories(histories, repository, source, options);
    backups.push(...(await backupsOf(repository, source.key, options)));
    for await (const { name, at } of repository.list(walPrefix(source.key), options)) {
      const file = name.slice(name.lastIndexOf("/") + 1);
      if (file.endsWith(".zst")) files.push({ file: file.slice(0, -4), at, source });
    }
  }
  const segmentBytes =
    options.segmentBytes ?? backups.at(-1)?.record.server.segment_bytes ?? 16 << 20;
  const ways = new Map(
    sources.map((source) => [
      source,
      source.until === null ? null : pathTo(histories, source.until.timeline),
    ]),
  );
  const segments = new Map<string, HeldSegment>();
  for (const { file, at, source } of files) {
    const segment = parseSegment(file, segmentBytes);
    if (!segment || segments.has(file)) continue;
    if (!isBefore(source, ways.get(source)!, segment, segmentBytes)) continue;
    segments.set(file, { ...segment, file, at, source: source.key });
  }
  const held = [...segments.values()];
  return {
    segmentBytes,
    segments: held,
    runs: runsOf(held),
    histories,
    backups: backups
      .filter(({ record, source }) => {
        const from = sources.find(({ key }) => keyOf(key) === keyOf(source))!;
        const way = ways.get(from)!;
        return way === null || endsOn(way, from, record.wal);
      })
      .toSorted((a, b) => (a.record.id < b.record.id ? -1 : 1)),
  };
}

/** A timeline that its origin began after the cluster had left: another life, though perhaps of the same number. */
const isBeyond = ({ until }: Source, timeline: number) =>
  until !== null && timeline > until.timeline;

function isBefore(
  { until }: Source,
  way: readonly Stretch[] | null,
  { timeline, number }: Segment,
  segmentBytes: number,
): boolean {
  if (until === null || way === null) return true;
  const stretch = way.find((one) => one.timeline === timeline);
  const end = timeline === until.timeline ? until.lsn : stretch?.until;
  return end != null && number <= segmentBefore(timeline, end, segmentBytes).number;
}

/** Whether a backup was finished before the copy left its origin, on the way that leads to where it did. */
export function endsOn(
  way: readonly Stretch[],
  { until }: Pick<Source, "until">,
  wal: BackupRecord["wal"],
): boolean {
  if (wal === null) return false;
  const lsn = parseLsn(wal.end_lsn);
  return (
    isOnPath(way, wal.end_timeline, lsn) &&
    (wal.end_timeline !== until!.timeline || lsn <= until!.lsn)
  );
}

/** Oldest first. @throws PgdbaError repository_failed | backup_damaged (a record that can't be read) */
export async function backupsOf(
  repository: Pick<Repository, "names" | "read">,
  key: ClusterKey,
  options: Signalled,
): Promise<HeldBackup[]> {
  const marks = await marksIn(repository, key, options);
  const names = await Array.fromAsync(repository.names(recordPrefix(key), options));
  const backups: HeldBackup[] = [];
  for await (const [name, record] of recordsOf(repository, names, options.signal)) {
    if (record === null) throw listedOnly(name);
    const its = marks.get(record.id) ?? {};
    backups.push({
      record,
      source: key,
      marks: its,
      quality: its.drilled ? "drilled" : its.verified ? "verified" : "complete",
      damaged: isDamaged(its),
    });
  }
  return backups;
}

/** Adds those of a part to what is known; what is known already hides them. @throws PgdbaError step_refused (one that can't be read) */
export async function addHistories(
  histories: Map<number, Ancestor[]>,
  repository: Pick<Repository, "names" | "read">,
  source: Source,
  options: Signalled,
): Promise<void> {
  for await (const name of repository.names(historyPrefix(source.key), options)) {
    const timeline = parseHistoryFile(name.slice(name.lastIndexOf("/") + 1));
    if (timeline === null || histories.has(timeline) || isBeyond(source, timeline)) continue;
    const bytes = await repository.read(name, options);
    if (bytes === null) throw listedOnly(name);
    histories.set(timeline, parseHistory(timeline, await textOf(bytes, name)));
  }
}

function listedOnly(name: string): PgdbaError {
  return new PgdbaError("repository_failed", `${name} was listed, and is not there any more`, {
    hint: "Another run removes backups at this moment. Try again.",
    retryable: true,
  });
}
