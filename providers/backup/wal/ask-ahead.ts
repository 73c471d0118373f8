/** How `pgdba wal get` asks the process that fetches ahead for a segment: see `ahead.ts`. Little is loaded here. */
import { closeSync, constants, lstatSync, openSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { NodeRepository } from "../work.ts";

/** Beside what is restored, on the same disk, so that a segment is moved and not copied. Backups leave out what is in pg_wal. */
export const AHEAD = ".pgdba-ahead";
/** So much lies there at most, where the disk has room for it. */
export const AHEAD_BYTES = 128 * 1024 * 1024;
/** One that says nothing for so long stands still; it tells every two seconds that it is at work. */
const SILENCE_MS = 10_000;
/** The name under which PostgreSQL has a segment restored, one after the other. pg_rewind, which goes backwards, takes others. */
const RESTORED = "RECOVERYXLOG";

/** Whether the segments after it will be asked for, too. */
export const leadsOn = (file: string, target: string): boolean =>
  /^[0-9A-F]{24}$/.test(file) && basename(target) === RESTORED;

/** By it both know that they read the same parts of the same repository. */
export const nameOf = (settings: NodeRepository): string =>
  new Bun.CryptoHasher("sha256").update(`1 ${JSON.stringify(settings)}`).digest("hex");

/**
 * `given`: the segment lies at `target`. `none`: it was not fetched, and is not being fetched. `alone`: nobody fetches ahead here.
 * A segment is moved by us, and only after the process that has brought it has said in this moment that it is whole: what a killed one has left
 * on the disk is never taken, and a late answer moves nothing.
 */
export async function takeAhead(
  file: string,
  target: string,
  settings: NodeRepository,
  silenceMs = SILENCE_MS,
): Promise<"given" | "none" | "alone"> {
  const folder = join(dirname(target), AHEAD);
  const before = inodeOf(folder);
  const answer = await asked(folder, `${nameOf(settings)} ${file}\n`, silenceMs);
  // pg_rewind fails on a server that has a socket in its data, and on one that copies from it: a dead one's must not stay.
  const isDead = answer === "silent" || answer === "gone";
  if (isDead && before !== undefined && inodeOf(folder) === before)
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  if (answer !== "have") return answer === "none" ? "none" : "alone";
  return rename(join(folder, file), target).then(
    () => "given",
    () => "none",
  );
}

export function inodeOf(folder: string): number | undefined {
  return lstatSync(folder, { throwIfNoEntry: false })?.ino;
}

/** A path to a socket has 107 bytes at most; a folder that is open has a short name. */
export function shortly<T>(folder: string, use: (folder: string) => T): T {
  if (folder.length < 90) return use(folder);
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return use(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

function asked(folder: string, line: string, silenceMs: number): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    const timer = setTimeout(() => resolve("silent"), silenceMs);
    const gone = (): void => {
      clearTimeout(timer);
      resolve("gone");
    };
    const connect = (short: string) =>
      Bun.connect({
        unix: join(short, "socket"),
        socket: {
          open: (socket) => void socket.write(line),
          data(socket, bytes) {
            timer.refresh();
            said += bytes.toString();
            if (!said.endsWith("\n")) return;
            clearTimeout(timer);
            resolve(said.replace(/^\.*|\n$/g, ""));
            socket.end();
          },
          close: gone,
          error: gone,
          connectError: gone,
        },
      });
    try {
      shortly(folder, connect).catch(gone);
    } catch {
      gone();
    }
  });
}
