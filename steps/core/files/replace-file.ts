import { link, lstat, mkdir, open, rename, rm, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { PgdbaError, withNothingDone } from "../../../engine/errors.ts";
import { errnoOf, otherKind, readBytes, readIfThere } from "../../../engine/shared/read-file.ts";
import {
  fileError,
  syncFolder,
  writeDraft,
  writeWhole,
} from "../../../engine/shared/write-file.ts";

/** The file on disk is read into memory to compare it. */
const MAX_SIZE = 16 * 1024 * 1024;

const MISSING = "A folder of the path is missing; `create_dirs: true` makes it.";

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
    const other = otherKind(found);
    if (other !== undefined) {
      throw new PgdbaError("step_refused", `${path} is ${other}, not a file`, {
        hint: "Give the path of the file itself.",
      });
    }
    if (found.size > MAX_SIZE) {
      throw new PgdbaError("limit_exceeded", `${path} holds more than ${MAX_SIZE} bytes`, {
        hint: "This step is for configuration; move large files with a program.",
      });
    }
    return {
      content: readBytes(path, { maxBytes: MAX_SIZE }),
      mode: found.mode & 0o7777,
      uid: found.uid,
      gid: found.gid,
    };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw withNothingDone(fileError(path, error));
  }
}

/**
 * Puts `content` in the place of the file in one step: a reader sees the old or the new, also after a power cut, and
 * `marks` say how to go back before anything has changed. The owner stays as it was.
 * @throws PgdbaError io_failed, with `nothingDone` when the file is as it was
 */
export async function replaceFile(
  path: string,
  next: { content: string; mode: number; createDirs: boolean },
  before: FileState | null,
  marks: Marks,
): Promise<void> {
  let keptNow = false;
  try {
    if (next.createDirs) await mkdir(dirname(path), { recursive: true });
    keptNow = await keepPrevious(path, before, marks);
    const owner = before ?? undefined;
    await writeWhole(path, next.content, { mode: next.mode, owner, draft: marks.temporary });
  } catch (thrown) {
    const missing = errnoOf(thrown) === "ENOENT";
    const error = fileError(path, thrown, missing ? MISSING : undefined);
    if (error.nothingDone === false) throw error;
    // The next attempt keeps the file as it finds it.
    if (keptNow) await removeMarks(marks).catch(() => {});
    throw withNothingDone(error);
  }
}

/**
 * Puts back what `marks` kept, unless somebody else has changed the file since it got the content `written`. Doing it twice, or with
 * nothing kept, changes nothing. @returns whether something was kept @throws PgdbaError io_failed | undo_failed
 */
export async function restoreFile(path: string, written: string, marks: Marks): Promise<boolean> {
  try {
    if (await exists(marks.temporary)) await rm(marks.temporary, { force: true });
    if (await exists(marks.absent)) {
      await assertOurs(path, [Buffer.from(written)], {
        hint: `There was no file before the step. Remove ${path}, if nobody needs what it holds now, and ${marks.absent}.`,
      });
      await rm(path, { force: true });
      await syncFolder(dirname(path));
      await rm(marks.absent, { force: true });
    } else if (await exists(marks.previous)) {
      const previous = await previousContent(marks);
      await assertOurs(path, [Buffer.from(written), ...(previous ? [previous] : [])], {
        hint: `What it held before the step is in ${marks.previous}. Write the wanted content to ${path}, and remove that copy.`,
      });
      // rename(2) does nothing when both names are the same inode, as when the crash came before the replacement.
      await rename(marks.previous, path);
      await rm(marks.previous, { force: true });
    } else {
      return false;
    }
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    throw fileError(path, error);
  }
}

/** A file that is gone again is nobody's loss. */
async function assertOurs(
  path: string,
  known: readonly Buffer[],
  { hint }: { hint: string },
): Promise<void> {
  const now = await fileState(path);
  if (now === null || known.some((content) => now.content.equals(content))) return;
  throw new PgdbaError(
    "undo_failed",
    `${path} holds something else than the step wrote: somebody has changed it since, and it is left as it is`,
    { hint },
  );
}

/** The content that was replaced; null when there was none. */
export async function previousContent(marks: Marks): Promise<Buffer | null> {
  return readIfThere(marks.previous, { maxBytes: MAX_SIZE }) ?? null;
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** @returns whether it was kept now: an earlier attempt of this step may have kept the true one already */
async function keepPrevious(
  path: string,
  before: FileState | null,
  marks: Marks,
): Promise<boolean> {
  if ((await exists(marks.previous)) || (await exists(marks.absent))) return false;
  if (before === null) {
    await (await open(marks.absent, "wx", 0o600)).close();
    return true;
  }
  try {
    await link(path, marks.previous);
  } catch (error) {
    if (!NO_LINK.has(errnoOf(error) ?? "")) throw error;
    await writeDraft(marks.temporary, before.content, { mode: before.mode, owner: before });
    await rename(marks.temporary, marks.previous);
  }
  return true;
}

/** The file system has no hard links, or the kernel allows them to the owner only. */
const NO_LINK = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "EMLINK", "ENOSYS"]);

export async function removeMarks(marks: Marks): Promise<void> {
  for (const path of [marks.temporary, marks.previous, marks.absent]) {
    // A file system that is read-only refuses to remove also what is not there.
    if (!(await exists(path))) continue;
    await unlink(path).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw fileError(path, error);
    });
  }
}
