import { chmod, chown, mkdir, rmdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { geteuid } from "node:process";
import { errnoOf } from "../../../engine/shared/read-file.ts";
import { syncFolder } from "../../../engine/shared/write-file.ts";

/** The folders between a repository and a file in it, the nearest to the file first. */
function* between(root: string, path: string): Iterable<string> {
  for (let folder = dirname(path); folder.length > root.length; folder = dirname(folder))
    yield folder;
}

/** Makes those that are missing; the repository itself is never made: it may only not be mounted. */
export async function makeFolders(root: string, path: string): Promise<void> {
  const missing: string[] = [];
  for (const folder of between(root, path)) {
    if (await isThere(folder)) break;
    missing.push(folder);
  }
  if (missing.length === 0) return;
  const { uid, gid, mode } = await stat(root);
  for (const folder of missing.toReversed()) {
    try {
      await mkdir(folder, { mode: 0o700 });
    } catch (error) {
      if (errnoOf(error) === "EEXIST") continue;
      throw error;
    }
    if (geteuid?.() === 0) await chown(folder, uid, gid);
    await chmod(folder, (mode & 0o777) | 0o700);
  }
}

async function isThere(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Has the names of the file and of all folders above it on disk; those that are there already cost nothing. */
export async function syncChain(root: string, path: string): Promise<void> {
  for (const folder of between(root, path)) await syncFolder(folder);
  await syncFolder(root);
}

/** Up to the repository, as far as they are empty. */
export async function removeEmptyFolders(root: string, folder: string): Promise<void> {
  for (const one of between(root, `${folder}/x`)) {
    try {
      await rmdir(one);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") continue;
      return;
    }
  }
}
