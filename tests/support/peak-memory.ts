import { existsSync, readFileSync } from "node:fs";

const STATUS = "/proc/self/status";

/**
 * The most memory that this process has held, in kB. `maxRSS` of a process begins with that of the one that started it, so that below a
 * large test runner nothing would seem to grow; Linux tells the process's own peak.
 */
export function peakMemory(): number {
  const own = existsSync(STATUS)
    ? /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(STATUS, "utf8"))?.[1]
    : undefined;
  return own === undefined ? process.resourceUsage().maxRSS : Number(own);
}
