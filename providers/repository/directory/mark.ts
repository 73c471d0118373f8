import { chmod, chown, mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import { errnoOf } from "../../../engine/shared/read-file.ts";
import { syncFolder } from "../../../engine/shared/write-file.ts";

/** The folder in a repository by which it is known, and in which lies what is not finished. */
export const MARK = ".pgdba-repository";

/** @throws PgdbaError repository_failed */
export async function assertMark(root: string): Promise<void> {
  try {
    if ((await stat(join(root, MARK))).isDirectory()) return;
  } catch (error) {
    if (!["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) throw failed(root, error);
  }
  throw notThere(root);
}

function notThere(root: string): PgdbaError {
  return new PgdbaError("repository_failed", `There is no repository in ${root}`, {
    hint: `Its file system may not be mounted: a repository has a folder ${MARK}. \`pgdba backup setup\` makes a new one.`,
    retryable: true,
  });
}

/** Makes the folder where it is missing, but not the one that it stands in. */
export async function makeMark(root: string, owner?: { uid: number; gid: number }): Promise<void> {
  try {
    const made = await makeFolder(root);
    if (made && owner !== undefined && geteuid?.() === 0) await chown(root, owner.uid, owner.gid);
    const { uid, gid, mode } = await stat(root);
    const names = await readdir(root);
    if (names.includes(MARK)) return await assertMark(root);
    // An empty file system of its own has this folder.
    if (names.some((name) => name !== "lost+found"))
      throw new PgdbaError("step_refused", `${root} is not empty, and no repository`, {
        hint: "Name an empty folder, or one that is not there yet.",
        nothingDone: true,
      });
    await mkdir(join(root, MARK), { mode: 0o700 });
    if (geteuid?.() === 0) await chown(join(root, MARK), uid, gid);
    await chmod(join(root, MARK), (mode & 0o777) | 0o700);
    await syncFolder(root);
    if (made) await syncFolder(dirname(root));
  } catch (error) {
    throw failed(root, error);
  }
}

async function makeFolder(root: string): Promise<boolean> {
  try {
    await mkdir(root, { mode: 0o700 });
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
const HINTS: Record<string, string> = {
  EACCES:
    "The user that does this may not enter or write there; the folder must be that of the servers' user.",
  EPERM: "The user that does this may not do that there.",
  EROFS: "The file system is mounted read-only.",
  ENOENT: "A folder of the path is missing; make it, or mount its file system.",
  ENOTDIR: "A part of the path is a file, not a folder.",
};

/** Waiting does not heal these; a mount that is away may come back. */
const LASTING: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS", "ELOOP", "ENAMETOOLONG"]);

/** What the file system said, as the contract has it. */
export function failed(root: string, cause: unknown): PgdbaError {
  if (cause instanceof PgdbaError && cause.code !== "io_failed") return cause;
  const errno = errnoOf(cause);
  if (errno !== undefined && FULL.has(errno))
    return new PgdbaError("repository_full", `There is no space left in ${root}`, {
      cause,
      hint: "Make space: `pgdba backup expire` removes backups that are not needed any more; or enlarge its file system.",
      data: { errno },
      retryable: true,
    });
  const said = errno ?? (cause instanceof Error ? cause.message : String(cause));
  return new PgdbaError("repository_failed", `The repository in ${root} failed: ${said}`, {
    cause,
    hint: HINTS[errno ?? ""] ?? "Look at the folder and its file system.",
    retryable: !LASTING.has(errno ?? ""),
    ...(errno === undefined ? {} : { data: { errno } }),
  });
}
