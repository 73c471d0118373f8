import { PgdbaError } from "../../engine/errors.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import type { Repository } from "../repository/contract.ts";
import { type ClusterKey, historyPrefix, walName } from "../repository/layout.ts";
import { decompressed } from "./frames.ts";
import { textOf } from "./read-record.ts";
import type { BackupRecord } from "./record.ts";
import { neededSegments } from "./needed.ts";
import { historyFile, parseSegment, startOf } from "./segments.ts";
import { HEAD_BYTES, segmentHead } from "./wal/header.ts";

export interface Segment {
  file: string;
  /** The object's. */
  name: string;
}

/** The segments that a backup can't do without. */
export async function segmentsOf(
  repository: Repository,
  key: ClusterKey,
  { wal, server }: BackupRecord,
  signal?: AbortSignal,
): Promise<Segment[]> {
  if (wal === null) return [];
  const { start_lsn, end_lsn, timeline, end_timeline } = wal;
  let history: string | null = null;
  if (timeline !== end_timeline) {
    const name = `${historyPrefix(key)}${historyFile(end_timeline)}`;
    const found = await repository.read(name, { signal });
    if (found !== null) history = await textOf(found, name);
  }
  const end = { lsn: parseLsn(end_lsn), timeline: end_timeline };
  return neededSegments(parseLsn(start_lsn), end, history, server.segment_bytes).map((file) => ({
    file,
    name: walName(key, file),
  }));
}

/** Reads a segment as it is stored; null when it is good, else why it is not. */
export async function checkSegment(
  repository: Repository,
  { file, name }: Segment,
  { cluster, server }: BackupRecord,
  signal?: AbortSignal,
): Promise<string | null> {
  const stored = await repository.read(name, { signal });
  if (stored === null) return "the segment is not there";
  let head = Buffer.alloc(0);
  let bytes = 0;
  try {
    for await (const piece of decompressed(stored, name)) {
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, piece.subarray(0, HEAD_BYTES)]);
      bytes += piece.length;
    }
  } catch (error) {
    if (error instanceof PgdbaError && error.code === "backup_damaged") return error.message;
    throw error;
  }
  const size = server.segment_bytes;
  if (bytes !== size) return `the segment has ${bytes} bytes, and ${size} belong there`;
  const said = segmentHead(head, size);
  const segment = parseSegment(file, size);
  if (segment === null || said?.lsn !== startOf(segment.number, size))
    return "it holds the WAL of another position";
  if (said.system !== cluster.system_identifier) return "it holds the WAL of another cluster";
  return null;
}
