import { type Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../../engine/shared/read-file.ts";
import type { Signalled, Stored } from "../contract.ts";
import { compareNames } from "../object.ts";
import { assertMark, failed } from "./mark.ts";

/** How many files are asked for their size at once. */
const AT_ONCE = 64;

interface Entry {
  /** Of a folder with a `/` at its end, so that names are in order across folders. */
  name: string;
  folder: boolean;
}

/** The files whose names begin with `prefix` and come after `after`, in the order of their names. */
export async function* walk(
  root: string,
  prefix: string,
  { signal, after }: Signalled & { after?: string },
  folder = folderOf(prefix),
): AsyncIterable<Stored> {
  const wanted = (entry: Entry): boolean => {
    const { name, folder: isFolder } = entry;
    if (!isBelow(prefix, entry)) return false;
    if (after === undefined) return true;
    return compareNames(name, after) > 0 || (isFolder && after.startsWith(name));
  };
  let files: string[] = [];
  const sized = async function* (): AsyncIterable<Stored> {
    const found = await Promise.all(files.map((name) => storedAt(root, name)));
    files = [];
    for (const one of found) if (one !== undefined) yield one;
  };
  for (const entry of (await entriesOf(root, folder)).filter(wanted)) {
    signal?.throwIfAborted();
    if (!entry.folder) files.push(entry.name);
    if (files.length >= AT_ONCE || entry.folder) yield* sized();
    if (entry.folder)
      yield* walk(root, prefix, { signal, ...(after === undefined ? {} : { after }) }, entry.name);
  }
  yield* sized();
}

/** The names alone, in their order: no file is looked at. `shallow`: folders are named, and not read. */
export async function* namesIn(
  root: string,
  prefix: string,
  { signal, shallow = false }: Signalled & { shallow?: boolean },
  folder = folderOf(prefix),
): AsyncIterable<string> {
  for (const entry of await entriesOf(root, folder)) {
    if (!isBelow(prefix, entry)) continue;
    signal?.throwIfAborted();
    if (entry.folder && !shallow) yield* namesIn(root, prefix, { signal }, entry.name);
    else yield entry.name;
  }
}

const folderOf = (prefix: string): string => prefix.slice(0, prefix.lastIndexOf("/") + 1);

const isBelow = (prefix: string, { name, folder }: Entry): boolean =>
  name.startsWith(prefix) || (folder && prefix.startsWith(name));

async function entriesOf(root: string, folder: string): Promise<Entry[]> {
  let found: Dirent[];
  try {
    found = await readdir(join(root, folder), { withFileTypes: true });
  } catch (error) {
    // Nothing of that name, which only a repository can say; or a folder that was removed meanwhile.
    if (!["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) throw failed(root, error);
    await assertMark(root);
    return [];
  }
  return found
    .filter((one) => !one.name.startsWith(".") && (one.isFile() || one.isDirectory()))
    .filter((one) => folder !== "" || one.name !== "lost+found")
    .map((one) => `${folder}${one.name}${one.isDirectory() ? "/" : ""}`)
    .toSorted()
    .map((name) => ({ name, folder: name.endsWith("/") }));
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
