import { type Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../../engine/shared/read-file.ts";
import type { Signalled, Stored } from "../contract.ts";
import { compareNames } from "../object.ts";
import { assertMark, failed } from "./mark.ts";

/** How many files are asked for their size at once. */
const AT_ONCE = 64;

/** The files whose names begin with `prefix` and come after `after`, in the order of their names. */
export async function* walk(
  root: string,
  prefix: string,
  { signal, after }: Signalled & { after?: string },
  folder = folderOf(prefix),
): AsyncIterable<Stored> {
  const wanted = (name: string): boolean => {
    if (!isBelow(prefix, name)) return false;
    if (after === undefined) return true;
    return compareNames(name, after) > 0 || (isFolder(name) && after.startsWith(name));
  };
  let files: string[] = [];
  const sized = async function* (): AsyncIterable<Stored> {
    const found = await Promise.all(files.map((name) => storedAt(root, name)));
    files = [];
    for (const one of found) if (one !== undefined) yield one;
  };
  for (const name of (await namesOf(root, folder)).filter(wanted)) {
    signal?.throwIfAborted();
    if (!isFolder(name)) files.push(name);
    if (files.length >= AT_ONCE || isFolder(name)) yield* sized();
    if (isFolder(name))
      yield* walk(root, prefix, { signal, ...(after === undefined ? {} : { after }) }, name);
  }
  yield* sized();
}

/**
 * The names alone, in their order, those of a folder together: no file is looked at. `shallow`: folders are named, and not read.
 */
export async function* namesIn(
  root: string,
  prefix: string,
  { signal, shallow = false }: Signalled & { shallow?: boolean },
  folder = folderOf(prefix),
): AsyncIterable<string[]> {
  const all = await namesOf(root, folder);
  const below = folder.startsWith(prefix) ? all : all.filter((name) => isBelow(prefix, name));
  if (shallow || !below.some(isFolder)) {
    if (below.length > 0) yield below;
    return;
  }
  for (const name of below) {
    signal?.throwIfAborted();
    if (isFolder(name)) yield* namesIn(root, prefix, { signal }, name);
    else yield [name];
  }
}

const folderOf = (prefix: string): string => prefix.slice(0, prefix.lastIndexOf("/") + 1);

const isFolder = (name: string): boolean => name.endsWith("/");

const isBelow = (prefix: string, name: string): boolean =>
  name.startsWith(prefix) || (isFolder(name) && prefix.startsWith(name));

/** What lies in a folder, in order; a folder has a `/` at its end, so that names are in order across folders. */
async function namesOf(root: string, folder: string): Promise<string[]> {
  let found: Dirent[];
  try {
    found = await readdir(join(root, folder), { withFileTypes: true });
  } catch (error) {
    // Nothing of that name, which only a repository can say; or a folder that was removed meanwhile.
    if (!["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) throw failed(root, error);
    await assertMark(root);
    return [];
  }
  const names: string[] = [];
  for (const one of found) {
    const within = one.isDirectory();
    if (one.name.startsWith(".") || (!within && !one.isFile())) continue;
    if (folder === "" && one.name === "lost+found") continue;
    names.push(within ? `${one.name}/` : one.name);
  }
  // What they share is put before them at last: to compare it ten thousand times takes a tenth of a list.
  return names.sort().map((name) => folder + name);
}

async function storedAt(root: string, name: string): Promise<Stored | undefined> {
  try {
    const { size, mtime } = await lstat(join(root, name));
    return { name, bytes: size, at: mtime };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw failed(root, error);
  }
}
