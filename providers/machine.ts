import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { PgSession } from "./postgres/session.ts";
import { quoteIdent } from "./planner/twin/names.ts";

/** In kB. */
const MB = 1024;

/** The resources that the server can use: the least of what the hardware has and what its cgroups allow. */
export interface Machine {
  /** In kB; null when it can't be told. */
  memoryKb: number | null;
  cpus: number | null;
}

/** No container limit is larger; cgroup v1 says "none" with a number near 2^63. */
const NO_LIMIT_KB = 2 ** 50;

/** The text of a file by its path from the root, undefined where it can't be had. */
export type ReadFile = (path: string) => Promise<string | undefined>;

/** Files below `root`, as this process may read them. */
export function filesBelow(root: string): ReadFile {
  return (path) => readFile(join(root, path), "utf8").catch(() => undefined);
}

/** Reads the kernel's files on the server's machine. `process` is the server's own entry below /proc there. */
export interface KernelFiles {
  read: ReadFile;
  process: string;
}

/** The kernel's files of the machine that the server runs on: here, or asked of the server; null where they can't be had. */
export async function kernelFiles(
  pg: PgSession,
  host: string,
  signal?: AbortSignal,
): Promise<KernelFiles | null> {
  return (await localFiles(pg, host)) ?? (await remoteFiles(pg, signal));
}

/**
 * The machine of a server that runs on this host, as the kernel has it for the server's own process; null when it runs elsewhere: its
 * backend is then no process here, or one of another program.
 */
export async function localMachine(
  pg: PgSession,
  host: string,
  read?: ReadFile,
): Promise<Machine | null> {
  const files = await localFiles(pg, host, read);
  return files === null ? null : machineOf(files.read, files.process);
}

async function localFiles(
  pg: PgSession,
  host: string,
  read: ReadFile = filesBelow("/"),
): Promise<KernelFiles | null> {
  if (!isLocal(host)) return null;
  const { pid } = pg.info;
  // A forwarded port or a container looks local too; then this process id is another program's, or nobody's.
  const title = await read(`proc/${pid}/cmdline`);
  const name = (await read(`proc/${pid}/comm`))?.trim();
  if (name !== "postgres" && !title?.startsWith("postgres:")) return null;
  return { read, process: String(pid) };
}

/** Files of /proc say that they are empty: the length has to be given. */
const MAX_BYTES = 65_536;
const MAY_READ = `SELECT pg_has_role('pg_read_server_files', 'USAGE')
  AND has_function_privilege('pg_catalog.pg_read_file(text, bigint, bigint, boolean)', 'EXECUTE') AS may`;
const READ = "SELECT pg_catalog.pg_read_file($1, 0, $2, true) AS text";

/** The GRANTs that let a role read the server's files, and with them those of its machine. */
export const grantsToRead = (role: string): string =>
  `GRANT pg_read_server_files TO ${quoteIdent(role)}; GRANT EXECUTE ON FUNCTION pg_read_file(text, bigint, bigint, boolean) TO ${quoteIdent(role)}`;

/** The same of a server anywhere, by the kernel's files as the server itself reads them; null where the role may not ask for that. */
export async function remoteMachine(pg: PgSession, signal?: AbortSignal): Promise<Machine | null> {
  const files = await remoteFiles(pg, signal);
  if (files === null) return null;
  const machine = await machineOf(files.read, files.process);
  return machine.memoryKb === null && machine.cpus === null ? null : machine;
}

async function remoteFiles(pg: PgSession, signal?: AbortSignal): Promise<KernelFiles | null> {
  const { rows } = await pg.ask(MAY_READ, [], { signal });
  if (rows[0]?.["may"] !== true) return null;
  const read: ReadFile = async (path) => {
    try {
      const answer = await pg.ask(READ, [`/${path}`, MAX_BYTES], { signal });
      return (answer.rows[0]?.["text"] as string | null | undefined) ?? undefined;
    } catch (error) {
      // A file that its account may not read is as good as none; a session that is gone is not.
      if (!pg.alive() || signal?.aborted) throw error;
      return undefined;
    }
  };
  return { read, process: "self" };
}

/** A unix socket, or an address of this host itself. */
function isLocal(host: string): boolean {
  return (
    host.startsWith("/") ||
    host === "localhost" ||
    host === "::1" ||
    /^127\.\d+\.\d+\.\d+$/.test(host)
  );
}

/**
 * The resources that a process may use: cgroup v2 and v1 limits, up to the root; /proc/meminfo; the CPUs it may run on.
 * @param process its entry below /proc
 */
export async function machineOf(read: ReadFile, process: string): Promise<Machine> {
  const memory: number[] = [];
  const cpus: number[] = [];
  const total = /^MemTotal:\s+(\d+) kB/m.exec((await read("proc/meminfo")) ?? "");
  if (total?.[1] !== undefined) memory.push(Number(total[1]));
  const allowed = /^Cpus_allowed_list:\s+(\S+)/m.exec((await read(`proc/${process}/status`)) ?? "");
  if (allowed?.[1] !== undefined) cpus.push(countOf(allowed[1]));
  for (const folder of groupFolders((await read(`proc/${process}/cgroup`)) ?? "")) {
    const bytes = Number(
      (await read(join(folder, "memory.max"))) ??
        (await read(join(folder, "memory.limit_in_bytes"))) ??
        NaN,
    );
    if (bytes > 0 && bytes / 1024 < NO_LIMIT_KB) memory.push(Math.floor(bytes / 1024));
    const [quota, period] = await cpuQuota(read, folder);
    if (quota > 0 && period > 0) cpus.push(Math.max(1, Math.round(quota / period)));
  }
  return {
    memoryKb: memory.length === 0 ? null : Math.min(...memory),
    cpus: cpus.length === 0 ? null : Math.min(...cpus),
  };
}

/** The kernel's huge pages of the default size; null where it has none or can't be asked. Format: proc_meminfo(5). */
export async function hugePages(
  read: ReadFile,
): Promise<{ pageBytes: number; total: number; free: number } | null> {
  const text = (await read("proc/meminfo")) ?? "";
  const figure = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? NaN);
  const [total, free, reserved, size] = [
    figure("HugePages_Total"),
    figure("HugePages_Free"),
    figure("HugePages_Rsvd"),
    figure("Hugepagesize"),
  ] as [number, number, number, number];
  // Pages that are reserved are counted as free until they are touched.
  return Number.isNaN(total + free + reserved + size)
    ? null
    : { pageBytes: size * 1024, total, free: free - reserved };
}

/** kB as people would give it: whole MB, below what there is. */
export function roundKb(kb: number): number {
  return kb < MB ? kb : Math.floor(kb / MB) * MB;
}

/** The folders of a process's groups and of all above them. Format: cgroups(7). */
function groupFolders(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    const wanted = controllers.split(",").filter((name) => name === "memory" || name === "cpu");
    const mounts = controllers === "" ? [""] : wanted.length === 0 ? [] : [controllers, ...wanted];
    const parts = path.split("/").filter((part) => part !== "" && part !== "..");
    const paths = parts.map((_, at) => parts.slice(0, at + 1).join("/"));
    return [...new Set(mounts)].flatMap((mount) =>
      ["", ...paths].map((below) => join("sys/fs/cgroup", mount, below)),
    );
  });
}

async function cpuQuota(read: ReadFile, folder: string): Promise<[number, number]> {
  const v2 = /^(\d+) (\d+)/.exec((await read(join(folder, "cpu.max"))) ?? "");
  if (v2 !== null) return [Number(v2[1]), Number(v2[2])];
  const quota = Number((await read(join(folder, "cpu.cfs_quota_us"))) ?? -1);
  return [quota, Number((await read(join(folder, "cpu.cfs_period_us"))) ?? 0)];
}

/** `0-3,8` is 5. */
function countOf(list: string): number {
  return list.split(",").reduce((sum, part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}
