/** What is known of a backup, as it stands in the repository: a record that is written last and never changed, and marks beside it. */
import type { ClusterKey } from "../repository/layout.ts";

/** `physical` ones are `full` or `incremental`; a `logical` one can't be brought forward by WAL. */
export type BackupType = "full" | "incremental" | "logical";

export interface BackupRecord {
  format: 1;
  /** `20261128T184500Z-full-1a2b3c`: sorts by the time of its start. */
  id: string;
  type: BackupType;
  /** The backup that an incremental one is the difference to. */
  parent: string | null;
  /** In the parts of this cluster; the name is for people. */
  cluster: ClusterKey & { name: string };
  /** The member that it was read from, and what it was then. */
  node: string;
  source: "primary" | "standby";
  /** By the clock of whoever took it, ISO 8601 in UTC. */
  started_at: string;
  finished_at: string;
  /** Of a physical one: it is consistent from `end` on, and needs every segment from `start` to it. */
  wal: WalRange | null;
  parts: Part[];
  manifest: Part | null;
  /** Sizes in bytes: as on the server, and as kept. */
  bytes: number;
  stored_bytes: number;
  compression: string;
  /** What a server that runs on it must have at least, and what it was made with. */
  server: {
    version: string;
    block_size: number;
    segment_bytes: number;
    checksums: boolean;
    settings: Record<string, string>;
  };
  /** Counted when it was taken, so that a drill has something to compare with; null where this role might not look. */
  databases: {
    name: string;
    bytes: number | null;
    tables: number | null;
    /** Of a logical one. */
    locale?: DatabaseLocale;
  }[];
  run: string;
  tool: string;
}

/** What a database must be made with, so that a dump of it means the same there. */
export interface DatabaseLocale {
  encoding: string;
  collate: string;
  ctype: string;
  /** From 15 on: `c`, `i` (ICU) or `b` (of PostgreSQL itself), and the locale of the last two. */
  provider?: string;
  locale?: string;
}

export interface WalRange {
  timeline: number;
  start_lsn: string;
  start_segment: string;
  end_timeline: number;
  end_lsn: string;
  /** The segment with the last record that it needs. */
  end_segment: string;
}

/** One object of a backup. */
export interface Part {
  /** Below `backup/ID/`. */
  name: string;
  /** A tar of the data directory, of a tablespace (`tablespace`), a manifest, a dump (`database`), or the dump of roles. */
  kind: "data" | "tablespace" | "manifest" | "dump" | "globals";
  tablespace?: { oid: string; path: string };
  database?: string;
  /** Before compression, and as stored. */
  bytes: number;
  stored_bytes: number;
  /** Hex SHA-256 of what is stored. */
  sha256: string;
}

export type MarkKind = "verified" | "damaged" | "drilled" | "drill_failed" | "pinned" | "unpinned";

/** `mark/ID.KIND-TIME-RUN.json`. The newest of a kind counts; its time stands in its name, so that a list of names tells it. */
export interface Mark {
  backup: string;
  kind: MarkKind;
  at: string;
  run: string;
  /** Of a drill: seconds of each phase, bytes, the measured RPO; of damage: the objects and why. */
  facts: unknown;
}

/** The three words for the quality of a backup; each holds all before it. */
export type Quality = "complete" | "verified" | "drilled";
