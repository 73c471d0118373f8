import {
  chmod,
  copyFile,
  lchown,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  symlink,
} from "node:fs/promises";
import { join } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import { otherKind } from "../../../engine/shared/read-file.ts";
import { syncFolder } from "../../../engine/shared/write-file.ts";

export interface TreeOptions {
  /** The owner of all that is made; by default that of the source, as far as we may. */
  owner?: { uid: number; gid: number } | undefined;
  /** The mode of files and folders; by default that of the source. */
  mode?: number | undefined;
  folderMode?: number | undefined;
  /** Has each file on disk. */
  sync: boolean;
  /** Paths below the source, such as `pg_wal/x`, of which nothing is copied. */
  leaveOut?: ((path: string) => boolean) | undefined;
  /** A file that goes while it is looked at is left out; an error without it. */
  mayGo?: boolean;
  signal: AbortSignal;
}

/**
 * Copies a folder with all that is in it; links are copied as links.
 * @throws PgdbaError io_failed for what is neither file, folder nor link; the signal's reason when aborted
 */
export async function copyTree(
  from: string,
  to: string,
  options: TreeOptions,
  below = "",
): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  for (const name of await readdir(from)) {
    options.signal.throwIfAborted();
    const path = below === "" ? name : `${below}/${name}`;
    if (options.leaveOut?.(path)) continue;
    try {
      await copyOne(join(from, name), join(to, name), path, options);
    } catch (error) {
      if (!options.mayGo || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  await own(to, from, options, options.folderMode);
  if (options.sync) await syncFolder(to);
}

async function copyOne(
  from: string,
  to: string,
  path: string,
  options: TreeOptions,
): Promise<void> {
  const found = await lstat(from);
  if (found.isDirectory()) return copyTree(from, to, options, path);
  if (found.isSymbolicLink()) return symlink(await readlink(from), to);
  const other = otherKind(found);
  if (other !== undefined) {
    throw new PgdbaError("io_failed", `${from} is ${other}: it can't be copied`, {
      hint: "Copy a folder of files, or leave this one out.",
    });
  }
  await copyFile(from, to);
  await own(to, from, options, options.mode);
  if (!options.sync) return;
  const file = await open(to, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function own(
  to: string,
  from: string,
  { owner }: TreeOptions,
  mode: number | undefined,
): Promise<void> {
  const found = await lstat(from);
  await chmod(to, mode ?? found.mode & 0o7777);
  const wanted = owner ?? found;
  if (owner !== undefined || geteuid?.() === 0) await lchown(to, wanted.uid, wanted.gid);
}
