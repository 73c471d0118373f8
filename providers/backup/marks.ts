import { randomBytes } from "node:crypto";
import type { Repository, Signalled } from "../repository/contract.ts";
import { type ClusterKey, markPrefix } from "../repository/layout.ts";
import type { BackupType, Mark } from "./record.ts";

/** `20261128T184500Z-full-1a2b3c`: in the order of time, and of two that begin at once none is the other. */
export function newBackupId(type: BackupType, at: Date): string {
  return `${compact(at)}-${type}-${randomBytes(3).toString("hex")}`;
}

/** As pgdba makes them; anything else is no name of a backup. */
export const BACKUP_ID = /^\d{8}T\d{6}Z-(full|incremental|logical)-[0-9a-f]{6,}$/;

/** What became known of a backup, beside its record. Its time and its kind stand in its name, so that a list of names tells them. */
export async function writeMark(
  repository: Repository,
  key: ClusterKey,
  mark: Omit<Mark, "at"> & { at: Date },
  options: Signalled = {},
): Promise<void> {
  const { backup, kind, at, run } = mark;
  const name = `${markPrefix(key, backup)}${kind}-${compact(at)}-${run}.json`;
  const text = `${JSON.stringify({ ...mark, at: at.toISOString() })}\n`;
  await repository.create(name, new TextEncoder().encode(text), options);
}

function compact(at: Date): string {
  return at.toISOString().replace(/[-:]|\.\d+/g, "");
}
