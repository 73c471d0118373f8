import { readFileSync } from "node:fs";
import { chmod, chown, mkdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";

/** The account a server runs as when pgdba itself runs as root, which PostgreSQL refuses. */
export interface OrdinaryUser {
  name: string;
  uid: number;
  gid: number;
}

/** Accounts that come with the system; initdb needs one that has a passwd entry, so a made-up uid would not do. */
const CANDIDATES = ["postgres", "nobody"];

/** The account that a server has to run as: null means our own. @throws PgdbaError unsupported when there is no such account */
export function ordinaryUser(passwd = "/etc/passwd", euid = geteuid?.() ?? 1): OrdinaryUser | null {
  if (euid !== 0) return null;
  const entries = readFileSync(passwd, "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const name of CANDIDATES) {
    const entry = entries.find((fields) => fields[0] === name);
    const uid = Number(entry?.[2]);
    const gid = Number(entry?.[3]);
    if (uid > 0 && gid > 0) return { name, uid, gid };
  }
  throw new PgdbaError(
    "unsupported",
    "PostgreSQL does not run as root and there is no ordinary account to run it as",
    {
      hint: `Run pgdba as another user, or create an account named "${CANDIDATES[0]}".`,
    },
  );
}

/** True when others may enter every directory above `path`, which an account needs that owns none of them. */
export async function traversable(path: string): Promise<boolean> {
  for (let dir = dirname(resolve(path)); ; dir = dirname(dir)) {
    const info = await stat(dir).catch(() => null);
    if (info !== null && (info.mode & 0o001) === 0) return false;
    if (dir === dirname(dir)) return true;
  }
}

/**
 * A directory that `user` can reach: `wanted` itself, or the first of `spares` that it can enter, with `name` below it.
 * Made if missing; owned by `user`, for nobody else.
 * @throws PgdbaError io_failed when none will do
 */
export async function reachableDir(
  wanted: string,
  user: OrdinaryUser | null,
  name: string,
  spares: string[],
): Promise<string> {
  const dir =
    user === null || (await traversable(wanted)) ? wanted : join(await spareBase(spares), name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await chmod(dir, 0o700);
  if (user !== null) await chown(dir, user.uid, user.gid);
  return dir;
}

/**
 * The first of `spares` that is ours alone to write and open for others to enter. One that somebody else owns is passed
 * over: what lies there is executed.
 */
export async function spareBase(spares: string[]): Promise<string> {
  for (const base of spares) {
    if (!(await traversable(base))) continue;
    const made = await mkdir(base, { recursive: true, mode: 0o755 }).catch(() => null);
    if (typeof made === "string") await chmod(base, 0o755);
    const info = await stat(base).catch(() => null);
    if (info?.isDirectory() && info.uid === geteuid?.() && (info.mode & 0o022) === 0) return base;
  }
  throw new PgdbaError(
    "io_failed",
    `No directory that an ordinary user can enter: tried ${spares.join(", ")}`,
    {
      hint: "Make one of them, owned by the user that runs pgdba, mode 0755.",
    },
  );
}
