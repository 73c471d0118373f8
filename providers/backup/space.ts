/** Whether a disk has room for a backup and for what is replayed into it, and goes on having it: a server may live on the same disk. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { formatBytes } from "../../engine/shared/units.ts";
import { fileError } from "../../engine/shared/write-file.ts";
import type { BackupRecord } from "./record.ts";

/** This much stays free for whoever else writes there, such as the server beside it: a twentieth of a small disk. */
const RESERVE = 1 << 30;
/** Recovery keeps about as much WAL as max_wal_size allows, by its restart points. */
const MAX_WAL = 1 << 30;

/** Bytes of the restored data, and of WAL beside it. */
export function bytesOfData(chain: readonly BackupRecord[], walBytes: number): number {
  const databases = chain.at(-1)!.databases.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
  return Math.max(databases, ...chain.map(({ bytes }) => bytes)) + Math.min(walBytes, MAX_WAL);
}

/** Bytes that a backup takes where it is restored: of a chain, each of its parts and what they are put together to. */
export function bytesToRestore(chain: readonly BackupRecord[], walBytes: number): number {
  const parts = chain.length > 1 ? chain.reduce((sum, { bytes }) => sum + bytes, 0) : 0;
  return bytesOfData(chain, walBytes) + parts;
}

export interface Room {
  freeBytes: number;
  /** Of the free bytes, those that nothing of ours may take. */
  reserve: number;
}

export const roomOf = ({ freeBytes, totalBytes }: { freeBytes: number; totalBytes: number }) => ({
  freeBytes,
  reserve: Math.min(RESERVE, Math.floor(totalBytes / 20)),
});

/** Of the file system where `path` is or will be. @throws PgdbaError io_failed */
export async function roomAt(path: string): Promise<Room> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      const { blocks, bavail, bsize } = await statfs(folder);
      return roomOf({ freeBytes: bavail * bsize, totalBytes: blocks * bsize });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || folder === dirname(folder))
        throw fileError(folder, error);
    }
  }
}

/** @throws PgdbaError step_refused */
export function assertRoom(needed: number, { freeBytes, reserve }: Room, where: string): void {
  if (freeBytes - reserve >= needed) return;
  throw new PgdbaError(
    "step_refused",
    `${where} has ${formatBytes(freeBytes)} free, and the restored data needs ${formatBytes(needed)} beside ${formatBytes(reserve)} that stay free`,
    {
      hint: "Nothing was fetched. Make room there, or restore on a node whose disk has it.",
      data: { free_bytes: freeBytes, needed_bytes: needed, reserve_bytes: reserve },
      nothingDone: true,
    },
  );
}

/** @throws PgdbaError io_failed when so little is left that the server beside it is in danger */
export async function assertStillRoom(path: string): Promise<void> {
  const { freeBytes, reserve } = await roomAt(path);
  if (freeBytes >= reserve / 2) return;
  throw new PgdbaError("io_failed", `The disk of ${path} has only ${formatBytes(freeBytes)} left`, {
    hint: "What was brought there is removed, so that a server on the same disk goes on. Make room, and run again.",
  });
}
