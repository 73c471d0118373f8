import { randomBytes } from "node:crypto";
import type { BackupType, MarkKind } from "../../providers/backup/record.ts";

/** `20261128T184500Z-full-1a2b3c`: in the order of time, and of two that begin at once none is the other. */
export function newBackupId(type: BackupType, at: Date): string {
  return `${compact(at)}-${type}-${randomBytes(3).toString("hex")}`;
}

/** The name of a mark, below those of its backup: another one each time, for a run may come to it again within a second after a crash. */
export function markFile(kind: MarkKind, at: Date, run: string): string {
  return `${kind}-${compact(at)}-${run}-${randomBytes(3).toString("hex")}.json`;
}

function compact(at: Date): string {
  return at.toISOString().replace(/[-:]|\.\d+/g, "");
}
