import { readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";

/** The process that holds a lock or a run. `started` tells a reused pid from the same process. */
export interface Holder {
  user: string;
  host: string;
  pid: number;
  started: string;
}

export function thisProcess(): Holder {
  return {
    user: userName(),
    host: hostname(),
    pid: process.pid,
    started: startOf(process.pid) ?? "",
  };
}

export function describeHolder(run: string, holder: Holder): string {
  return `run ${run} (${holder.user}@${holder.host}, pid ${holder.pid})`;
}

/** True only when the holder ran on this host and is certainly gone; another host's is never called dead. */
export function isDead(holder: Holder): boolean {
  if (holder.host !== hostname()) return false;
  if (holder.started === "") return false;
  return startOf(holder.pid) !== holder.started;
}

/** Boot id and start time in ticks of a live process, from /proc; undefined when it is gone, a zombie, or there is no /proc. */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Fields are counted after the command name, which may hold spaces and brackets (proc(5): 3 state, 22 starttime).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return `${boot}/${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** The login name; the uid where there is none, or where the runtime only knows it from an unset variable. */
function userName(): string {
  try {
    const { username, uid } = userInfo();
    return username === "" || username === "unknown" ? `uid ${uid}` : username;
  } catch {
    return "unknown";
  }
}
