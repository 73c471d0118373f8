/**
 * The names of all objects in a repository. A cluster's part begins with its key; what a copy of the cluster writes has another key, so
 * that two lives of one system identifier never mix.
 *
 *   KEY/cluster.json                                    whose part it is; made by setup, before anything else
 *   KEY/wal/TIMELINE/LOG/SEGMENT.zst                    a segment, or SEGMENT.partial.zst; TIMELINE and LOG are its first and second 8 digits
 *   KEY/history/TIMELINE.history                        where each timeline began
 *   KEY/backup/ID/…                                     the parts of a backup
 *   KEY/record/ID.json                                  written last: there is a backup when this is there, and none before
 *   KEY/mark/ID.KIND-TIME-RUN.json                      what became known of it later: verified, drilled, failed, pinned, unpinned
 *   KEY/probe/ID                                        for a moment: a server tries whether it can write
 */
import { PgdbaError } from "../../engine/errors.ts";

/** The part of one cluster's life: `<system identifier>/<major version>/<cluster id>`. */
export interface ClusterKey {
  system_identifier: string;
  version: number;
  cluster_id: string;
}

export function keyOf(key: ClusterKey): string {
  return `${key.system_identifier}/${key.version}/${key.cluster_id}`;
}

export const clusterName = (key: ClusterKey) => `${keyOf(key)}/cluster.json`;
export const probeName = (key: ClusterKey, id: string) => `${keyOf(key)}/probe/${id}`;
export const walPrefix = (key: ClusterKey, timeline?: string) =>
  timeline === undefined ? `${keyOf(key)}/wal/` : `${keyOf(key)}/wal/${timeline}/`;
export const historyPrefix = (key: ClusterKey) => `${keyOf(key)}/history/`;
export const backupPrefix = (key: ClusterKey, id: string) => `${keyOf(key)}/backup/${id}/`;
export const recordPrefix = (key: ClusterKey) => `${keyOf(key)}/record/`;
export const recordName = (key: ClusterKey, id: string) => `${recordPrefix(key)}${id}.json`;
export const markPrefix = (key: ClusterKey, id?: string) =>
  id === undefined ? `${keyOf(key)}/mark/` : `${keyOf(key)}/mark/${id}.`;

const SEGMENT = /^[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?$/;
const HISTORY = /^[0-9A-F]{8}\.history$/;

/**
 * The name of what PostgreSQL archives, by the name of its file.
 * @throws PgdbaError step_refused for a file that PostgreSQL archives under no such name
 */
export function walName(key: ClusterKey, file: string): string {
  if (HISTORY.test(file)) return `${historyPrefix(key)}${file}`;
  if (SEGMENT.test(file))
    return `${walPrefix(key, file.slice(0, 8))}${file.slice(8, 16)}/${file}.zst`;
  throw new PgdbaError("step_refused", `${file} is no name of a WAL segment or a history file`, {
    hint: "PostgreSQL gives the name: `%f` of archive_command and restore_command.",
  });
}
