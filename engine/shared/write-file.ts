import { lstat, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PgdbaError, withNothingDone } from "../errors.ts";
import { errnoOf, otherKind } from "./read-file.ts";

export interface WriteOptions {
  /** Permissions; 0600 without it. */
  mode?: number;
  owner?: { uid: number; gid: number } | undefined;
  /** Name of the draft, for one who must find it after a crash. */
  draft?: string;
  hint?: string;
}

/** A draft that a killed process left is removed when it is older than this: its number may mean another process on another host. */
const ABANDONED_MS = 60_000;

/**
 * Puts `content` in the place of the file in one step: a reader finds the old or the new content, also after a power cut, and only
 * those whom `mode` allows. Anything but a regular file is left alone.
 * @throws PgdbaError io_failed, with `nothingDone` when the file is as it was
 */
export async function writeWhole(
  file: string,
  content: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: WriteOptions = {},
): Promise<void> {
  const folder = dirname(file);
  const draft = options.draft ?? join(folder, draftName(basename(file)));
  let replaced = false;
  try {
    await assertReplaceable(file);
    if (options.draft === undefined) await removeAbandoned(folder);
    await writeDraft(draft, content, options);
    await syncFolder(folder);
    await rename(draft, file);
    replaced = true;
    await syncFolder(folder);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw withNothingDone(fileError(file, error, options.hint), !replaced);
  }
}

/** Writes `content` under a name that nobody looks for, and has it on disk. */
export async function writeDraft(
  draft: string,
  content: string | Uint8Array | AsyncIterable<Uint8Array>,
  { mode = 0o600, owner }: WriteOptions,
): Promise<void> {
  await rm(draft, { force: true });
  // `wx` opens no link that someone else put there.
  const file = await open(draft, "wx", 0o600);
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

/** Has the names in a folder on disk. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const HINTS: Record<string, string> = {
  ENOENT: "A folder of the path is missing; make it first.",
  ENOTDIR: "A part of the path is a file, not a folder.",
  EACCES: "The user that runs pgdba may not write there.",
  EPERM: "The user that runs pgdba may not do that there.",
  EROFS: "The file system is mounted read-only.",
  ENOSPC: "The disk is full; free some space and run again.",
  EDQUOT: "The disk quota is used up.",
  ELOOP: "The path is a symbolic link; give the file itself.",
};

/** The error of the operating system for a file, with what to do. */
export function fileError(file: string, cause: unknown, hint?: string): PgdbaError {
  if (cause instanceof PgdbaError) return cause;
  const errno = errnoOf(cause) ?? "unknown";
  return new PgdbaError("io_failed", `${file}: ${errno}`, {
    cause,
    hint: hint ?? HINTS[errno] ?? "Look at the path and its file system.",
    data: { errno },
  });
}

/**
 * A rename would put a file in the place of `/dev/null`, too; opening a FIFO would wait for a reader.
 * @throws PgdbaError io_failed for anything but a regular file, or nothing
 */
export async function assertReplaceable(file: string): Promise<void> {
  const found = await lstat(file).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  });
  const other = found && otherKind(found);
  if (other === undefined) return;
  throw new PgdbaError("io_failed", `${file} is ${other}, not a file`, {
    hint: "Give the path of a regular file, or one where nothing is yet.",
  });
}

const DRAFT = /^\.pgdba-[0-9a-f]{8}-(\d+)-[0-9a-f-]+\.new$/;

function draftName(name: string): string {
  const short = new Bun.CryptoHasher("sha256").update(name).digest("hex").slice(0, 8);
  return `.pgdba-${short}-${process.pid}-${crypto.randomUUID()}.new`;
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = DRAFT.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const path = join(folder, name);
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > ABANDONED_MS) await rm(path, { force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}
