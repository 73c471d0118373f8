/**
 * A repository in a folder. `MARK` in it says that it is one: without it the folder is that of a file system which is not mounted, or of
 * something else, and then nothing is missing and nothing may be made. What is being written lies in `MARK` too, until it is whole and on disk;
 * a hard link then gives it its name, which fails when the name is taken.
 */
import type { Stats } from "node:fs";
import { type FileHandle, link, lstat, open, readdir, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../../engine/errors.ts";
import { errnoOf } from "../../engine/shared/read-file.ts";
import { partsUntil } from "../../engine/shared/until.ts";
import type { Bytes, Content, Repository, Signalled, Stored } from "./contract.ts";
import { assertMark, failed, makeMark, MARK } from "./directory/mark.ts";
import { makeFolders, removeEmptyFolders, syncChain } from "./directory/folders.ts";
import { namesIn, walk } from "./directory/walk.ts";
import { checkedName, differs, isSame } from "./object.ts";

const CHUNK = 1024 * 1024;
/** What a killed process left half written is removed when nobody has written to it for so long. */
const ABANDONED_MS = 24 * 3600_000;

/** The folder becomes a repository; one that is one stays as it is. @throws PgdbaError repository_failed | step_refused */
export async function makeDirectory(
  path: string,
  owner?: { uid: number; gid: number },
): Promise<void> {
  await makeMark(path, owner);
}

/** @throws PgdbaError repository_failed when there is none: see `makeDirectory` */
export async function openDirectory(root: string): Promise<Repository> {
  await assertMark(root);
  const where = root;
  const pathOf = (name: string): string => join(root, checkedName(name));

  return {
    where,
    async create(name, content, options = {}) {
      const path = pathOf(name);
      const bytes = content instanceof Uint8Array ? content : undefined;
      if (bytes === undefined && (await statOf(root, path)) !== undefined)
        throw differs(name, where);
      if (bytes === undefined)
        await removeAbandoned(root, Date.now() - ABANDONED_MS).catch(() => 0);
      const draft = join(root, MARK, `${crypto.randomUUID()}.part`);
      try {
        await writeDraft(root, draft, content, options.signal);
        options.signal?.throwIfAborted();
        const made = await named(root, draft, path);
        // An earlier one may have been cut off before its name was on disk.
        await syncChain(root, path);
        if (made) return "made";
        if (bytes !== undefined && (await isSame(await readFrom(root, path, {}), bytes)))
          return "same";
        throw differs(name, where);
      } catch (error) {
        options.signal?.throwIfAborted();
        throw failed(root, error);
      } finally {
        await rm(draft, { force: true }).catch(() => {});
      }
    },

    async read(name, options = {}) {
      options.signal?.throwIfAborted();
      return readFrom(root, pathOf(name), options);
    },

    async stat(name, options = {}) {
      options.signal?.throwIfAborted();
      const found = await statOf(root, pathOf(name));
      return found?.isFile() ? storedOf(name, found) : null;
    },

    async *list(prefix, options = {}) {
      await assertMark(root);
      yield* walk(root, prefix, options);
    },

    async *names(prefix, options = {}) {
      await assertMark(root);
      for await (const some of namesIn(root, prefix, options)) for (const name of some) yield name;
    },

    async remove(names, options = {}) {
      await assertMark(root);
      let before: string | undefined;
      for (const name of names) {
        options.signal?.throwIfAborted();
        const path = pathOf(name);
        const folder = join(path, "..");
        // In their order, also after a power cut: what is named first is gone first.
        if (before !== undefined && before !== folder) await synced(root, before);
        before = folder;
        await rm(path, { force: true }).catch((error: unknown) => {
          throw failed(root, error);
        });
      }
      if (before !== undefined) await synced(root, before);
      for (const folder of new Set(names.map((name) => join(pathOf(name), ".."))))
        await removeEmptyFolders(root, folder);
    },

    async sweep(before) {
      await assertMark(root);
      return removeAbandoned(root, before.getTime()).catch((error: unknown) => {
        throw failed(root, error);
      });
    },

    async space() {
      await assertMark(root);
      const { blocks, bavail, bsize } = await statfs(root).catch((error: unknown) => {
        throw failed(root, error);
      });
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    },

    async close() {},
  };
}

function storedOf(name: string, { size, mtime }: Stats): Stored {
  return { name, bytes: size, at: mtime };
}

/** Undefined when it is not there, which only a repository can say. */
async function statOf(root: string, path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (!isMissing(error)) throw failed(root, error);
    await assertMark(root);
    return undefined;
  }
}

const isMissing = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "");

async function readFrom(
  root: string,
  path: string,
  { signal, from = 0, bytes = Infinity }: Signalled & { from?: number; bytes?: number },
): Promise<Bytes | null> {
  const found = await statOf(root, path);
  return found?.isFile() ? parts(root, path, { signal, from, bytes }) : null;
}

/** Opened when the first part is asked for: a stream that nobody reads holds nothing. */
async function* parts(
  root: string,
  path: string,
  { signal, from, bytes }: { signal: AbortSignal | undefined; from: number; bytes: number },
): Bytes {
  let file: FileHandle | undefined;
  try {
    signal?.throwIfAborted();
    file = await open(path, "r");
    const { size } = await file.stat();
    const end = Math.min(size, from + bytes);
    for (let at = from; at < end;) {
      signal?.throwIfAborted();
      const buffer = new Uint8Array(Math.min(CHUNK, end - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error("the file ended before its end");
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw failed(root, error);
  } finally {
    await file?.close();
  }
}

/** Whoever owns the folder owns what is in it, and those who may read the folder may read that. */
async function writeDraft(
  root: string,
  draft: string,
  content: Content,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { uid, gid, mode } = await stat(root);
  const file = await open(draft, "wx", 0o600);
  try {
    if (content instanceof Uint8Array) await file.writeFile(content);
    else for await (const part of partsUntil(content, signal)) await writeAll(file, part);
    if (geteuid?.() === 0) await file.chown(uid, gid);
    await file.chmod((mode & 0o666) | 0o600);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, part: Uint8Array): Promise<void> {
  for (let at = 0; at < part.length;) {
    const { bytesWritten } = await file.write(part, at, part.length - at);
    at += bytesWritten;
  }
}

/** False when the name is taken. */
async function named(root: string, draft: string, path: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    await makeFolders(root, path);
    try {
      await link(draft, path);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "EEXIST") return false;
      // Somebody removed the folder that had become empty.
      if (errno === "ENOENT" && attempt < 10) continue;
      if (errno === "EPERM" || errno === "ENOTSUP" || errno === "ENOSYS" || errno === "EOPNOTSUPP")
        throw new PgdbaError(
          "repository_failed",
          `The file system of ${root} has no hard links (${errno})`,
          {
            cause: error,
            hint: "Use a folder of a file system that has them (ext4, xfs, NFS), or an object store: without them a file can't be made only where none is.",
          },
        );
      throw error;
    }
  }
}

async function synced(root: string, folder: string): Promise<void> {
  await syncChain(root, join(folder, "x")).catch((error: unknown) => {
    if (!isMissing(error)) throw failed(root, error);
  });
}

async function removeAbandoned(root: string, before: number): Promise<number> {
  const folder = join(root, MARK);
  let removed = 0;
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".part")) continue;
    const path = join(folder, name);
    // Its writer may end meanwhile.
    const found = await stat(path).catch(() => null);
    if (found === null || found.mtimeMs >= before) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}
