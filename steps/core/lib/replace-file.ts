import { constants } from "node:fs";
import { link, lstat, mkdir, open, readFile, rename, rm, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";

/** What is there is read into memory to compare it. */
const MAX_SIZE = 16 * 1024 * 1024;

export interface FileState {
  content: Buffer;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
}

/** Names beside the file for what one step of one run keeps there. */
export interface Marks {
  /** The new content, before it takes the file's place. */
  temporary: string;
  /** The file as it was: the same inode under a second name, so owner, mode and content survive a crash. */
  previous: string;
  /** Says that there was no file. */
  absent: string;
}

/** The file at `path`, null when there is none. @throws PgdbaError step_refused for anything but a regular file | io_failed */
export async function fileState(path: string): Promise<FileState | null> {
  try {
    const found = await lstat(path);
    if (!found.isFile()) {
      throw new PgdbaError(
        "step_refused",
        `${path} is ${found.isSymbolicLink() ? "a symbolic link" : "not a file"}`,
        {
          hint: "Give the path of the file itself.",
        },
      );
    }
    if (found.size > MAX_SIZE) {
      throw new PgdbaError("limit_exceeded", `${path} holds more than ${MAX_SIZE} bytes`, {
        hint: "This step is for configuration; move large files with a program.",
      });
    }
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return {
        content: await file.readFile(),
        mode: found.mode & 0o7777,
        uid: found.uid,
        gid: found.gid,
      };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errno(error) === "ENOENT") return null;
    throw ioError(path, error);
  }
}

/**
 * Puts `content` in the place of the file in one step: a reader sees the old or the new, also after a power cut, and
 * `marks` say how to go back before anything has changed. The owner stays as it was.
 * @throws PgdbaError io_failed
 */
export async function replaceFile(
  path: string,
  next: { content: string; mode: number; createDirs: boolean },
  before: FileState | null,
  marks: Marks,
): Promise<void> {
  const folder = dirname(path);
  try {
    if (next.createDirs) await mkdir(folder, { recursive: true });
    await keepPrevious(path, before, marks);
    await writeSynced(marks.temporary, next.content, next.mode, before);
    await syncFolder(folder);
    await rename(marks.temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(marks.temporary, { force: true }).catch(() => {});
    throw ioError(path, error);
  }
}

/** Puts back what `marks` kept. Doing it twice, or with nothing kept, changes nothing. @throws PgdbaError io_failed */
export async function restoreFile(path: string, marks: Marks): Promise<void> {
  try {
    await rm(marks.temporary, { force: true });
    if (await exists(marks.absent)) {
      await rm(path, { force: true });
      await syncFolder(dirname(path));
      await rm(marks.absent, { force: true });
    } else if (await exists(marks.previous)) {
      // rename(2) does nothing when both names are the same inode, as when the crash came before the replacement.
      await rename(marks.previous, path);
      await rm(marks.previous, { force: true });
    } else {
      return;
    }
    await syncFolder(dirname(path));
  } catch (error) {
    throw ioError(path, error);
  }
}

/** The content that was replaced; null when there was none. */
export async function previousContent(marks: Marks): Promise<Buffer | null> {
  return readFile(marks.previous).catch(() => null);
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function keepPrevious(path: string, before: FileState | null, marks: Marks): Promise<void> {
  // An earlier attempt of this step has kept the true one already.
  if ((await exists(marks.previous)) || (await exists(marks.absent))) return;
  if (before === null) return (await open(marks.absent, "wx", 0o600)).close();
  try {
    await link(path, marks.previous);
  } catch (error) {
    if (!NO_LINK.has(errno(error))) throw error;
    await writeSynced(marks.temporary, before.content, before.mode, before);
    await rename(marks.temporary, marks.previous);
  }
}

/** The file system has no hard links, or the kernel allows them to the owner only. */
const NO_LINK = new Set<unknown>(["EPERM", "ENOTSUP", "EOPNOTSUPP", "EMLINK", "ENOSYS"]);

async function writeSynced(
  path: string,
  content: string | Buffer,
  mode: number,
  owner: FileState | null,
): Promise<void> {
  await rm(path, { force: true });
  // `wx` opens no link that someone else put there.
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    if (owner) {
      const own = await file.stat();
      if (own.uid !== owner.uid || own.gid !== owner.gid) await file.chown(owner.uid, owner.gid);
    }
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export async function removeMarks(marks: Marks): Promise<void> {
  for (const path of [marks.previous, marks.absent]) {
    await unlink(path).catch((error: unknown) => {
      if (errno(error) !== "ENOENT") throw ioError(path, error);
    });
  }
}

function errno(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

const HINTS: Record<string, string> = {
  ENOENT: "A folder of the path is missing; `create_dirs: true` makes it.",
  ENOTDIR: "A part of the path is a file, not a folder.",
  EACCES: "The user that runs pgdba may not write there.",
  EPERM: "The user that runs pgdba may not do that there.",
  EROFS: "The file system is mounted read-only.",
  ENOSPC: "The disk is full; free some space and run again.",
  EDQUOT: "The disk quota is used up.",
  ELOOP: "The path is a symbolic link; give the file itself.",
};

function ioError(path: string, cause: unknown): PgdbaError {
  if (cause instanceof PgdbaError) return cause;
  const code = String(errno(cause));
  return new PgdbaError("io_failed", `${path}: ${code}`, {
    cause,
    hint: HINTS[code] ?? "Look at the path and its file system.",
    data: { errno: code },
  });
}
