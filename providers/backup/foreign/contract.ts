/**
 * Backups that another tool has made, as its own list tells them. Read only: nothing of theirs is restored, kept or removed by pgdba. A tool is one
 * file beside this that exports a `ForeignTool`, and one line in `tools.ts`.
 */
import type { Runs } from "../logical/programs.ts";

export interface ForeignTool {
  name: string;
  /**
   * Its backups of the cluster with this identifier; null where the tool is not installed.
   * @throws PgdbaError command_failed when it is, and can't tell
   */
  list(run: Runs, identity: string): Promise<ForeignList | null>;
}

export interface ForeignList {
  version: string;
  backups: ForeignBackup[];
  /** What the tool itself finds wrong, in its words. */
  problems: string[];
}

export interface ForeignBackup {
  /** By the tool's own name. */
  id: string;
  /** Where it is configured: a stanza, a server. */
  set: string;
  type: "full" | "differential" | "incremental";
  parent: string | null;
  started_at: string;
  finished_at: string;
  bytes: number | null;
  stored_bytes: number | null;
  /** The segments that it needs. */
  wal_start: string | null;
  wal_end: string | null;
  /** The tool says that something is wrong with it. */
  error: boolean;
}
