/**
 * A process beside a server that recovers: it fetches the segments after the one that was asked for, so that `wal get` finds them on the disk.
 * `wal get` starts it, and it ends by itself: when there is nothing after what was given, when nobody asks any more, when its folder is gone.
 *
 * What it has is known to this process alone, and goes with it; files that it leaves when it is killed are nothing but files, and whoever asks next
 * removes them. It answers for names only, and never that the repository has none: who gets nothing here asks the repository.
 */
import type { Stats } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openRepository } from "../../repository/open.ts";
import { readSettings } from "../settings.ts";
import { AHEAD, inodeOf, nameOf, shortly } from "./ask-ahead.ts";
import { Spool } from "./spool.ts";

export interface AheadOrder {
  /** Where the server has segments restored. */
  folder: string;
  /** The segment that was fetched last, and its size, which is that of all. */
  file: string;
  bytes: number;
  /** The file that says where the repository is. */
  settings: string;
  signal: AbortSignal;
  /** It ends when nobody has asked for so long, ms. */
  idleMs?: number;
}

const IDLE_MS = 60_000;
/** The one who started it asks again within this time. */
const EMPTY_MS = 1000;
const LOOK_MS = 250;
const TELL_MS = 2000;
/** A folder that is so old and has not got its name was left by a killed one. */
const ABANDONED_MS = 60_000;

/** @throws PgdbaError repository_failed | invalid_config; nobody waits for it */
export async function fetchAhead(order: AheadOrder): Promise<void> {
  const settings = readSettings(order.settings);
  const into = join(order.folder, AHEAD);
  const own = `${into}.${crypto.randomUUID()}`;
  const stop = new AbortController();
  const signal = AbortSignal.any([order.signal, stop.signal]);
  const repository = await openRepository(settings.place);
  const spool = new Spool({ repository, settings, bytes: order.bytes, into, signal });
  let asked = performance.now();
  let listener: ReturnType<typeof listen> | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;
  let inode: number | undefined;
  try {
    await mkdir(own, { mode: 0o700 });
    inode = inodeOf(own);
    listener = listen(own, async (line) => {
      asked = performance.now();
      const [name, file = ""] = line.split(" ");
      if (name === nameOf(settings)) return spool.take(file);
      // Whoever has other settings reads something else.
      stop.abort();
      return false;
    });
    if (!(await claimed(own, into))) return;
    await spool.take(order.file);
    timer = setInterval(() => {
      const quiet = performance.now() - asked;
      const isDone = (spool.isEmpty && quiet > EMPTY_MS) || quiet > (order.idleMs ?? IDLE_MS);
      if (isDone || inodeOf(into) !== inode) stop.abort();
    }, LOOK_MS);
    await new Promise<void>((done) => {
      if (signal.aborted) done();
      signal.addEventListener("abort", () => done(), { once: true });
    });
  } finally {
    stop.abort();
    clearInterval(timer);
    listener?.stop(true);
    await spool.end();
    for (const folder of [own, into])
      if (inode !== undefined && inodeOf(folder) === inode)
        await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Removes what such a process has left beside restored segments; one that is at work ends by that. */
export async function removeAhead(folder: string): Promise<void> {
  for (const name of await namesIn(folder))
    if (name === AHEAD || name.startsWith(`${AHEAD}.`))
      await rm(join(folder, name), { recursive: true, force: true });
}

/** A folder gets the name that all look for when it is ready, and only one does: false when another one is at work. */
async function claimed(own: string, into: string): Promise<boolean> {
  for (const name of await namesIn(dirname(into))) {
    const path = join(dirname(into), name);
    if (!path.startsWith(`${into}.`) || path === own) continue;
    const found: Stats | null = await stat(path).catch(() => null);
    if (found !== null && Date.now() - found.ctimeMs > ABANDONED_MS)
      await rm(path, { recursive: true, force: true });
  }
  for (let attempt = 0; attempt < 3; attempt++) {
    if (
      await rename(own, into).then(
        () => true,
        () => false,
      )
    )
      return true;
    if (await answers(into)) return false;
    const dead = `${into}.${crypto.randomUUID()}`;
    await rename(into, dead).catch(() => {});
    await rm(dead, { recursive: true, force: true });
  }
  return false;
}

const namesIn = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

async function answers(folder: string): Promise<boolean> {
  try {
    const socket = await shortly(folder, (short) =>
      Bun.connect({ unix: join(short, "socket"), socket: { data() {} } }),
    );
    socket.end();
    return true;
  } catch {
    return false;
  }
}

/** One line is asked, and one is answered; before that a dot every two seconds. */
function listen(folder: string, answer: (line: string) => Promise<boolean>) {
  return shortly(folder, (short) =>
    Bun.listen<{ line: string }>({
      unix: join(short, "socket"),
      socket: {
        open: (socket) => void (socket.data = { line: "" }),
        async data(socket, bytes) {
          socket.data.line += bytes.toString();
          if (!socket.data.line.endsWith("\n")) return;
          const telling = setInterval(() => void socket.write("."), TELL_MS);
          const have = await answer(socket.data.line.trim()).catch(() => false);
          clearInterval(telling);
          socket.end(have ? "have\n" : "none\n");
        },
        error() {},
      },
    }),
  );
}
