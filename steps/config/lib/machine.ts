import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { MB } from "./size.ts";

/** What the machine gives to the server: the least of what the hardware has and what its cgroups allow. */
export interface Machine {
  /** In kB; null when it can't be told. */
  memoryKb: number | null;
  cpus: number | null;
}

/** No container limit is larger; cgroup v1 says "none" with a number near 2^63. */
const NO_LIMIT_KB = 2 ** 50;

/**
 * The machine of a server that runs on this host, as the kernel has it for the server's own process; null when it runs elsewhere: its
 * backend is then no process here, or one of another program.
 * @param root where /proc and /sys are, for tests
 */
export async function localMachine(
  pg: PgSession,
  host: string,
  root = "/",
): Promise<Machine | null> {
  if (!isLocal(host)) return null;
  const { pid } = pg.info;
  // A forwarded port or a container looks local too; then this process id is another program's, or nobody's.
  const title = await text(join(root, `proc/${pid}/cmdline`));
  const name = (await text(join(root, `proc/${pid}/comm`)))?.trim();
  if (name !== "postgres" && !title?.startsWith("postgres:")) return null;
  return machineOf(root, pid);
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

/** What a process may use: cgroup v2 and v1 limits, up to the root; /proc/meminfo; the CPUs it may run on. */
export async function machineOf(root: string, pid: number): Promise<Machine> {
  const groups = await groupFolders(root, pid);
  const memory: number[] = [];
  const cpus: number[] = [];
  const total = /^MemTotal:\s+(\d+) kB/m.exec((await text(join(root, "proc/meminfo"))) ?? "");
  if (total?.[1] !== undefined) memory.push(Number(total[1]));
  const allowed = /^Cpus_allowed_list:\s+(\S+)/m.exec(
    (await text(join(root, `proc/${pid}/status`))) ?? "",
  );
  if (allowed?.[1] !== undefined) cpus.push(countOf(allowed[1]));
  for (const folder of groups) {
    const bytes = Number(
      (await text(join(folder, "memory.max"))) ??
        (await text(join(folder, "memory.limit_in_bytes"))) ??
        NaN,
    );
    if (bytes > 0 && bytes / 1024 < NO_LIMIT_KB) memory.push(Math.floor(bytes / 1024));
    const [quota, period] = await cpuQuota(folder);
    if (quota > 0 && period > 0) cpus.push(Math.max(1, Math.round(quota / period)));
  }
  return {
    memoryKb: memory.length === 0 ? null : Math.min(...memory),
    cpus: cpus.length === 0 ? null : Math.min(...cpus),
  };
}

/** kB as people would give it: whole MB, below what there is. */
export function roundKb(kb: number): number {
  return kb < MB ? kb : Math.floor(kb / MB) * MB;
}

/** The folders of a process's groups and of all above them. Format: cgroups(7). */
async function groupFolders(root: string, pid: number): Promise<string[]> {
  const lines = ((await text(join(root, `proc/${pid}/cgroup`))) ?? "").split("\n");
  return lines.flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    const wanted = controllers.split(",").filter((name) => name === "memory" || name === "cpu");
    const mounts = controllers === "" ? [""] : wanted.length === 0 ? [] : [controllers, ...wanted];
    const parts = path.split("/").filter((part) => part !== "" && part !== "..");
    const paths = parts.map((_, at) => parts.slice(0, at + 1).join("/"));
    return [...new Set(mounts)].flatMap((mount) =>
      ["", ...paths].map((below) => join(root, "sys/fs/cgroup", mount, below)),
    );
  });
}

async function cpuQuota(folder: string): Promise<[number, number]> {
  const v2 = /^(\d+) (\d+)/.exec((await text(join(folder, "cpu.max"))) ?? "");
  if (v2 !== null) return [Number(v2[1]), Number(v2[2])];
  const quota = Number((await text(join(folder, "cpu.cfs_quota_us"))) ?? -1);
  return [quota, Number((await text(join(folder, "cpu.cfs_period_us"))) ?? 0)];
}

/** `0-3,8` is 5. */
function countOf(list: string): number {
  return list.split(",").reduce((sum, part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}

async function text(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}
