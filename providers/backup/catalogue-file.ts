/** The columns of records in a file, in rows: with their names beside each value it would have twice the size. */
import { readTextIfThere } from "../../engine/shared/read-file.ts";
import { writeWhole } from "../../engine/shared/write-file.ts";
import type { BackupRecord } from "./record.ts";

/** The part of a record that a list needs. */
export type Summary = Omit<
  BackupRecord,
  "parts" | "manifest" | "databases" | "server" | "format"
> & {
  version: string;
  segment_bytes: number;
};

export interface Kept {
  /** By the names of their objects. */
  records: Map<string, Summary>;
  histories: Record<string, string>;
}

interface KeptFile {
  format: 2;
  names: string[];
  rows: Row[];
  /** Those of the rows, each once. */
  clusters: Summary["cluster"][];
  histories: Record<string, string>;
}

type Wal = NonNullable<Summary["wal"]>;
type Row = [
  id: string,
  type: Summary["type"],
  parent: string | null,
  cluster: number,
  node: string,
  source: Summary["source"],
  started_at: string,
  finished_at: string,
  wal: [number, string, string, number, string, string] | null,
  bytes: number,
  stored_bytes: number,
  compression: string,
  run: string,
  tool: string,
  version: string,
  segment_bytes: number,
];

const MAX_BYTES = 256 * 1024 * 1024;

/** What is no such file counts as none: all of it can be read again. */
export function keptIn(file: string): Kept {
  try {
    const text = readTextIfThere(file, { maxBytes: MAX_BYTES });
    const kept = text === undefined ? undefined : (JSON.parse(text) as KeptFile);
    if (kept?.format === 2) {
      const { names, rows, clusters, histories } = kept;
      const records = new Map<string, Summary>();
      for (let at = 0; at < names.length; at++)
        records.set(names[at]!, summaryIn(rows[at]!, clusters));
      return { records, histories };
    }
  } catch {
    // As if it were not there.
  }
  return { records: new Map(), histories: {} };
}

/** A state folder that can't be written costs time, and nothing else. */
export async function keep(file: string, { records, histories }: Kept): Promise<void> {
  const clusters = new Map<string, number>();
  const rows = Array.from(records.values(), (one) => {
    const text = JSON.stringify(one.cluster);
    if (!clusters.has(text)) clusters.set(text, clusters.size);
    return rowOf(one, clusters.get(text)!);
  });
  const content: KeptFile = {
    format: 2,
    names: [...records.keys()],
    rows,
    clusters: Array.from(clusters.keys(), (text) => JSON.parse(text) as Summary["cluster"]),
    histories,
  };
  await writeWhole(file, JSON.stringify(content)).catch(() => {});
}

function rowOf(one: Summary, cluster: number): Row {
  const { wal } = one;
  return [
    one.id,
    one.type,
    one.parent,
    cluster,
    one.node,
    one.source,
    one.started_at,
    one.finished_at,
    wal && [
      wal.timeline,
      wal.start_lsn,
      wal.start_segment,
      wal.end_timeline,
      wal.end_lsn,
      wal.end_segment,
    ],
    one.bytes,
    one.stored_bytes,
    one.compression,
    one.run,
    one.tool,
    one.version,
    one.segment_bytes,
  ];
}

function summaryIn(row: Row, clusters: Summary["cluster"][]): Summary {
  return {
    id: row[0],
    type: row[1],
    parent: row[2],
    cluster: clusters[row[3]]!,
    node: row[4],
    source: row[5],
    started_at: row[6],
    finished_at: row[7],
    wal: row[8] && walIn(row[8]),
    bytes: row[9],
    stored_bytes: row[10],
    compression: row[11],
    run: row[12],
    tool: row[13],
    version: row[14],
    segment_bytes: row[15],
  };
}

const walIn = (row: NonNullable<Row[8]>): Wal => ({
  timeline: row[0],
  start_lsn: row[1],
  start_segment: row[2],
  end_timeline: row[3],
  end_lsn: row[4],
  end_segment: row[5],
});
