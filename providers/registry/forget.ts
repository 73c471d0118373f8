import { mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { errnoOf, readBytes } from "../../engine/shared/read-file.ts";
import { writeWhole } from "../../engine/shared/write-file.ts";
import { clusterFile } from "./folder.ts";
import { type ClusterEntry, parseCluster, readClusterText } from "./read.ts";
import { MAX_SECRET_BYTES, secretsFolder } from "./secrets.ts";
import { locked, removeFile } from "./write.ts";

/** An entry, or what is wrong with its file. */
export type Found = { entry: ClusterEntry } | { problem: PgdbaError };

/** The folder for an entry and its secrets that a run took out of the registry. */
export function asideFolder(stateDir: string, name: string, run: string): string {
  return join(stateDir, "forgotten", `${name}-${run}`);
}

/**
 * Takes an entry out of the registry, with the secrets that pgdba keeps for it; both are kept aside. Nothing of the cluster itself is
 * touched. `mayGo` is asked first, and throws when it must stay. Undefined when there is no such entry; what this run has already taken
 * out, it gives again.
 * @throws PgdbaError invalid_param | io_failed | lock_held
 */
export function forgetCluster(
  stateDir: string,
  { name, run }: { name: string; run: string },
  mayGo: (found: Found) => void | Promise<void>,
): Promise<Found | undefined> {
  const file = clusterFile(stateDir, name);
  const aside = asideFolder(stateDir, name, run);
  return locked(stateDir, async () => {
    const text = readClusterText(file);
    if (text === undefined) {
      const kept = readClusterText(join(aside, "cluster.yaml"));
      return kept === undefined ? undefined : foundIn(name, file, kept);
    }
    const found = await foundIn(name, file, text);
    await mayGo(found);
    await mkdir(aside, { recursive: true, mode: 0o700 });
    await writeWhole(join(aside, "cluster.yaml"), text);
    await moveFiles(join(stateDir, secretsFolder(name)), join(aside, "secrets"));
    // It goes last: while it is there, all of this can be done again.
    await removeFile(file);
    return found;
  });
}

/** The entry that would be forgotten now, or what is wrong with its file. Undefined when there is none. @throws PgdbaError invalid_param | io_failed */
export async function findEntry(stateDir: string, name: string): Promise<Found | undefined> {
  const file = clusterFile(stateDir, name);
  const text = readClusterText(file);
  return text === undefined ? undefined : foundIn(name, file, text);
}

/** Puts back what `forgetCluster` took out. @throws PgdbaError step_refused when another cluster has taken the name since */
export function restoreCluster(stateDir: string, name: string, run: string): Promise<boolean> {
  const file = clusterFile(stateDir, name);
  const aside = asideFolder(stateDir, name, run);
  return locked(stateDir, async () => {
    const kept = readClusterText(join(aside, "cluster.yaml"));
    if (kept === undefined) return false;
    const now = readClusterText(file);
    if (now !== undefined && now !== kept) {
      throw new PgdbaError("step_refused", `Another cluster has the name ${name} by now`, {
        hint: `The entry that was forgotten is kept in ${aside}.`,
      });
    }
    await moveFiles(join(aside, "secrets"), join(stateDir, secretsFolder(name)));
    if (now === undefined) await writeWhole(file, kept);
    await rm(aside, { recursive: true, force: true });
    return true;
  });
}

async function foundIn(name: string, file: string, text: string): Promise<Found> {
  try {
    return { entry: await parseCluster(name, file, text) };
  } catch (error) {
    return { problem: toPgdbaError(error) };
  }
}

/** Moves the files one by one, so that it can be cut off and done again. */
async function moveFiles(from: string, to: string): Promise<void> {
  const names = await readdir(from).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  });
  if (names.length === 0) return;
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const name of names) {
    const bytes = readBytes(join(from, name), { maxBytes: MAX_SECRET_BYTES });
    await writeWhole(join(to, name), bytes);
    await rm(join(from, name));
  }
  await rmdir(from);
}
