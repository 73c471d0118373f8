import type { ControlState } from "../../postgres/control-state.ts";

export type DiskPurpose = "data" | "wal" | "backup" | "system";

export interface Facts {
  /** The resources that the node may use: limits of its container or unit before those of the host. */
  cpus: number;
  memoryBytes: number;
  /** As seen from inside the node. */
  disks: { of: DiskPurpose; path: string; totalBytes: number; freeBytes: number }[];
  /** The node's clock, read between two readings of ours: ahead (positive) or behind by so much, give or take `withinMs`. */
  clock: { offsetMs: number; withinMs: number };
  os: { name: string; kernel: string; arch: string };
  /** Changes when the machine starts anew. */
  boot: string;
  postgres: PostgresFacts | null;
}

export interface PostgresFacts {
  /** The folder of the server's programs, and their version. */
  bin: string;
  version: string;
  /** The data directory. Settings of this node alone stand outside of it, so that a copy or a rewind of it does not bring another's. */
  data: string;
  /** libpq's file with the passwords of the cluster's accounts, for the account that PostgreSQL runs as; `exec` has it in PGPASSFILE. */
  passfile: string;
  /** As pg_controldata tells it, also of a server that is down; null without data. The timeline is that of the last checkpoint. */
  control: ControlState | null;
}
