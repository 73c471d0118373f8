import { readFileSync } from "node:fs";

const STATUS = "/proc/self/status";

/**
 * The most memory that this process has held, in kB. `maxRSS` of a process begins with that of the one that started it, so that below a
 * large test runner nothing would seem to grow; Linux tells the process's own peak.
 */
export function peakMemory(): number {
  return peakOf(STATUS) ?? process.resourceUsage().maxRSS;
}

/** The same of a child, in MB, once it has ended: what it had said of itself a moment before. */
export function watchPeak(child: Bun.Subprocess): { megabytes(): number } {
  let seen: number | undefined;
  const timer = setInterval(() => {
    // Only the last counts: until it has become the program, a child has the memory of whoever started it.
    seen = peakOf(`/proc/${child.pid}/status`) ?? seen;
  }, 10);
  void child.exited.finally(() => clearInterval(timer));
  const megabytes = () => (seen ?? (child.resourceUsage()?.maxRSS ?? 0) / 1024) / 1024;
  return { megabytes };
}

/** In kB; undefined where nobody tells it. */
function peakOf(status: string): number | undefined {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, "utf8"))?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}
