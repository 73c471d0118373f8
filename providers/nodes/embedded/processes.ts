import { readdir, readFile, readlink } from "node:fs/promises";
import { kill, pid, platform } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import { procStat } from "../../../engine/shared/proc-stat.ts";

/** In the environment of all that is started for a node: the node's folder. */
export const NODE_VARIABLE = "PGDBA_NODE";

/** Only Linux tells of a process of another account where it works and what its environment is. */
export const TELLS_PROCESSES = platform === "linux";

/** For so long a process may show no environment while it becomes another program: a busy machine lets it wait. */
const EXEC_MS = 5_000;

export interface Process {
  pid: number;
  /** As in proc(5): `T` is stopped. */
  state: string;
  session: number;
  /** One of the kernel's own threads, which have no environment. */
  kernel: boolean;
  /** It began with no environment at all. */
  bare: boolean;
}

/** All processes that have not ended. */
export async function processes(): Promise<Process[]> {
  const names = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(names.map(async (name) => processOf(Number(name))));
  return all.filter((one) => one !== null);
}

/** Null for one that has ended. */
export async function processOf(process: number): Promise<Process | null> {
  const stat = procStat(await readFile(`/proc/${process}/stat`, "utf8").catch(() => ""));
  if (stat === undefined || stat.ended) return null;
  const { state, session, kernel, bare } = stat;
  return { pid: process, state, session, kernel, bare };
}

/**
 * All processes of a node: the servers that work in its data directory, wherever they came from, and what was started for the node
 * (PostgreSQL writes over its own environment). Somebody's shell that stands in that folder is none of them, and neither are we.
 */
export async function processesOf(node: { dir: string; data: string }): Promise<Process[]> {
  const wanted = `${NODE_VARIABLE}=${node.dir}`;
  const own = await Promise.all(
    (await processes()).map(async (one) => {
      if (one.pid === pid) return null;
      if (await isServerIn(one.pid, node.data)) return one;
      const environment = await environmentOf(one);
      return environment.split("\0").includes(wanted) ? one : null;
    }),
  );
  return own.filter((one) => one !== null);
}

/** What a process was given when it began: `NAME=value`, each ended by a zero byte. Empty for one that is gone, or that we may not look at. */
export async function environmentOf({ pid, kernel }: Process): Promise<string> {
  if (kernel) return "";
  for (const deadline = performance.now() + EXEC_MS; ; await Bun.sleep(1)) {
    const text = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => null);
    // An empty one may also be that of a process which is just becoming another program.
    if (text !== "") return text ?? "";
    const now = await processOf(pid);
    if (now === null || now.bare || performance.now() > deadline) return "";
  }
}

async function isServerIn(process: number, data: string): Promise<boolean> {
  const link = (name: string) => readlink(`/proc/${process}/${name}`).catch(() => "");
  if ((await link("cwd")) !== data) return false;
  // The program's file may have been replaced since.
  return /\/postgres( \(deleted\))?$/.test(await link("exe"));
}

/** False when there is no such process any more. */
export function signalProcess(process: number, signal: NodeJS.Signals): boolean {
  try {
    return kill(process, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") return false;
    throw new PgdbaError("insufficient_privilege", `Process ${process} may not be sent ${signal}`, {
      cause: error,
      hint: "Run pgdba as the user that made the cluster.",
    });
  }
}

/** Signals all that `find` gives until `done` says so of each that is left: a process may make another before its turn comes. */
export async function signalAll(
  find: () => Promise<Process[]>,
  signal: NodeJS.Signals,
  done: (process: Process) => boolean,
  { withinMs, what }: { withinMs: number; what: string },
): Promise<number> {
  const deadline = performance.now() + withinMs;
  const told = new Set<number>();
  for (;;) {
    const left = (await find()).filter((one) => !done(one));
    if (left.length === 0) return told.size;
    if (performance.now() > deadline) {
      throw new PgdbaError(
        "timeout",
        `${left.length} processes of ${what} did not obey ${signal}`,
        {
          hint: `Look at them: ps -o pid,stat,wchan:20,args -p ${left.map(({ pid }) => pid).join(",")}`,
          data: { pids: left.map(({ pid }) => pid) },
        },
      );
    }
    for (const { pid } of left) if (signalProcess(pid, signal)) told.add(pid);
    await Bun.sleep(10);
  }
}
