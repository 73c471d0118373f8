import { amount } from "../../../engine/shared/amount.ts";
import type { Recommendation, TuneInput, Workload } from "./input.ts";
import { formatKb, GB, MB } from "./size.ts";
import { workerProcesses } from "./workers.ts";

/** `work_mem` and friends of 2 GB stop a server on Windows from starting up to 17, where a C long has 32 bits. */
const WINDOWS_LIMIT = 2 * GB - MB;

/** `max_connections` when none is asked for. */
const CONNECTIONS: Record<Workload, number> = {
  web: 200,
  oltp: 300,
  olap: 40,
  mixed: 100,
  desktop: 20,
};

/** Share of an even split that one sort or hash may take: analytical sessions run several at once. */
const WORK_MEM_DIVISOR: Record<Workload, number> = {
  web: 1,
  oltp: 1,
  olap: 2,
  mixed: 2,
  desktop: 6,
};

const isOldWindows = (input: TuneInput): boolean => input.os === "windows" && input.version <= 17;

export const maxConnections = (input: TuneInput): number =>
  input.connections ?? CONNECTIONS[input.workload];

/** kB. */
export function sharedBuffers(input: TuneInput): number {
  return Math.floor(input.memoryKb / (input.workload === "desktop" ? 16 : 4));
}

/** kB. */
function effectiveCacheSize(input: TuneInput): number {
  return Math.floor(input.workload === "desktop" ? input.memoryKb / 4 : (input.memoryKb * 3) / 4);
}

/** kB. On Windows up to 17, what is just below 2 GB stays as it is and what reaches it becomes 1 MB less. */
export function maintenanceWorkMem(input: TuneInput): number {
  const share = Math.floor(input.memoryKb / (input.workload === "olap" ? 8 : 16));
  if (isOldWindows(input)) return share < 2 * GB ? share : WINDOWS_LIMIT;
  return Math.min(share, 8 * GB);
}

/** kB: what is left of RAM over three operations of every session and worker, bent by how the data fits in RAM. */
function workMem(input: TuneInput): number {
  const even =
    (input.memoryKb - sharedBuffers(input)) /
    ((maxConnections(input) + workerProcesses(input)) * 3);
  let kb = Math.floor(even / WORK_MEM_DIVISOR[input.workload]);
  if (input.dbSize === "less_ram") kb = Math.floor(kb * 1.3);
  if (input.dbSize === "greater_ram") kb = Math.floor(kb * 0.9);
  kb = Math.max(kb, 4 * MB);
  return isOldWindows(input) ? Math.min(kb, WINDOWS_LIMIT) : kb;
}

/** max_connections to huge_pages: how RAM is divided. */
export function memorySettings(input: TuneInput): Recommendation[] {
  const { workload, os } = input;
  const ram = formatKb(input.memoryKb);
  const buffers = sharedBuffers(input);
  const cache = effectiveCacheSize(input);
  const maintenance = maintenanceWorkMem(input);
  const desktop = workload === "desktop";
  return [
    {
      name: "max_connections",
      value: maxConnections(input),
      reason:
        input.connections === null
          ? `${amount(maxConnections(input), "session is", "sessions are")} what a workload like ${workload} usually needs; with more clients put a pooler in front, since every session costs memory. A standby needs at least as many as its primary.`
          : `As given, or as the server has it; work_mem is divided among them. A standby needs at least as many as its primary.`,
    },
    {
      name: "shared_buffers",
      value: formatKb(buffers),
      reason: desktop
        ? `A sixteenth of ${ram}, because a desktop runs other programs beside the server.`
        : `A quarter of ${ram}: PostgreSQL reads through the operating system's cache too, so a larger share would hold the same pages twice.`,
    },
    {
      name: "effective_cache_size",
      value: formatKb(cache),
      reason: `Not an allocation: tells the planner that about ${desktop ? "a quarter" : "three quarters"} of ${ram} caches data, here or in the operating system, so that it trusts index scans as far as it should.`,
    },
    {
      name: "maintenance_work_mem",
      value: formatKb(maintenance),
      reason: maintenanceReason(input, maintenance),
    },
    { name: "work_mem", value: formatKb(workMem(input)), reason: workMemReason(input) },
    {
      name: "huge_pages",
      value: os !== "mac" && buffers >= 2 * GB ? "try" : "off",
      reason:
        os === "mac"
          ? "PostgreSQL gets no huge pages from macOS."
          : buffers >= 2 * GB
            ? `With ${formatKb(buffers)} of shared_buffers, huge pages make each session's page tables hundreds of times smaller; "try" starts the server even where the system reserved none.`
            : `Below 2GB of shared_buffers the page tables are too small for huge pages to pay.`,
    },
    ...(maintenance >= 2 * GB
      ? [
          {
            name: "autovacuum_work_mem",
            value: "2GB",
            reason: `Without it each autovacuum worker could take maintenance_work_mem, ${formatKb(maintenance)}, at the same time.`,
          },
        ]
      : []),
  ];
}

function maintenanceReason(input: TuneInput, kb: number): string {
  const share = input.workload === "olap" ? "An eighth" : "A sixteenth";
  const use = "CREATE INDEX and VACUUM are quicker with it, and few run at once";
  if (kb === WINDOWS_LIMIT && isOldWindows(input)) {
    return `${use}; on Windows a server up to 17 refuses 2GB, so the limit is 1MB below.`;
  }
  if (kb === 8 * GB) return `${use}; capped at 8GB, beyond which they gain little.`;
  return `${share} of ${formatKb(input.memoryKb)}: ${use}.`;
}

function workMemReason(input: TuneInput): string {
  const kb = workMem(input);
  if (kb === 4 * MB) {
    return `An even split of RAM gives no more than this among ${amount(maxConnections(input), "session")}; 4MB is the least that keeps simple sorts off the disk.`;
  }
  if (kb === WINDOWS_LIMIT && isOldWindows(input)) {
    return "There is RAM for more, but on Windows a server up to 17 refuses 2GB.";
  }
  const divisor = WORK_MEM_DIVISOR[input.workload];
  const bend =
    input.dbSize === "less_ram"
      ? ", and 30 % more because data that fits in RAM leaves cache to spare"
      : input.dbSize === "greater_ram"
        ? ", less 10 % because data larger than RAM needs the cache"
        : "";
  return (
    `RAM less shared_buffers, shared by ${amount(maxConnections(input), "session")} and ${amount(workerProcesses(input), "worker")} with three sorts or hashes each` +
    (divisor > 1 ? `, divided by ${divisor} for a workload like ${input.workload}` : "") +
    `${bend}. Each sort and each hash of a query may take it.`
  );
}
