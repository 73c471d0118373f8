import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errnoOf, readTextIfThere } from "../shared/read-file.ts";

/** Nothing larger is an approval. */
const MAX_BYTES = 1024 * 1024;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** The text of a file that only the user `uid` can have written, or why it is not one; undefined when there is none. */
export type Owned = { text: string } | { why: string } | undefined;

/**
 * Reads `<folder>/<user>/<name>`. What counts is that nobody else can have put the file there: it and its folder belong to `uid` and nobody else
 * may write them, it has no other name, and no folder above can be moved away by another user. Another file of the same user, whose content somebody
 * else had a hand in, can't be linked there.
 */
export function readOwned(folder: string, user: string, name: string, uid: number): Owned {
  try {
    const base = realpathSync(folder);
    const own = join(base, user);
    for (let at = base; ; at = dirname(at)) {
      const { uid: owner, mode } = lstatSync(at);
      const isSafe = (mode & OTHERS_WRITE) === 0 || (mode & STICKY) !== 0;
      if ((owner !== 0 && owner !== uid) || !isSafe)
        return {
          why: `${at} does not belong to root alone: another user could put something in its place`,
        };
      if (at === dirname(at)) break;
    }
    const about = lstatSync(own);
    if (!about.isDirectory() || about.uid !== uid || (about.mode & OTHERS_WRITE) !== 0)
      return { why: `${own} is not a folder that ${user} alone can write` };
    return readFile(join(own, name), user, uid);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") return undefined;
    return { why: `${join(folder, user, name)} can't be read: ${errno ?? String(error)}` };
  }
}

function readFile(file: string, user: string, uid: number): Owned {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const about = fstatSync(fd);
    const isOwned = about.isFile() && about.uid === uid && about.nlink === 1;
    if (!isOwned || (about.mode & OTHERS_WRITE) !== 0)
      return { why: `${file} is not a file that ${user} alone can write` };
    if (about.size > MAX_BYTES) return { why: `${file} is too large for an approval` };
    return { text: readFileSync(fd, "utf8") };
  } finally {
    closeSync(fd);
  }
}

/** The number of a user by its name, from /etc/passwd, or by the number itself; undefined when it is not there. */
export function uidOf(user: string, passwd = "/etc/passwd"): number | undefined {
  if (/^\d+$/.test(user)) return Number(user);
  const uid = Number(linesOf(passwd).find(([name]) => name === user)?.[2]);
  return Number.isInteger(uid) ? uid : undefined;
}

/** The name of a user by its number, which nobody can choose as they can the variable USER; the number as text where it has no name. */
export function userOf(uid: number, passwd = "/etc/passwd"): string {
  return linesOf(passwd).find((fields) => fields[2] === String(uid))?.[0] ?? String(uid);
}

function linesOf(passwd: string): string[][] {
  const text = readTextIfThere(passwd, {
    maxBytes: 64 * MAX_BYTES,
    code: "io_failed",
    hint: "It is the list of this system's users.",
  });
  return (text ?? "").split("\n").map((line) => line.split(":"));
}
