import { readFileSync, readlinkSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { procStat } from "../shared/proc-stat.ts";

/** The process that holds a lock or a run. `started` tells a reused pid from the same process. */
export interface Holder {
  user: string;
  host: string;
  pid: number;
  started: string;
  /** In which pid namespace the number counts; containers may share a host's name and a state folder. */
  space?: string;
  /** The caller as claimed or as seen; see `Caller`. */
  caller?: Caller;
}

/** The caller, and how we know it. The value of PGDBA_CALLER is a claim, so it is recorded. */
export interface Caller {
  name: string | null;
  by: "PGDBA_CALLER" | "terminal" | null;
}

export function thisProcess(): Holder {
  const space = spaceOf();
  return {
    user: userName(),
    host: hostname(),
    pid: process.pid,
    started: processStart(process.pid) ?? "",
    ...(space === undefined ? {} : { space }),
  };
}

export function describeHolder(run: string, holder: Holder): string {
  return `run ${run} (${holder.user}@${holder.host}, pid ${holder.pid})`;
}

/** `unseen`: it runs, or ran, where we can't look: on another host, or in another container. */
export function stateOf(holder: Holder): "alive" | "dead" | "unseen" {
  if (holder.host !== hostname()) return "unseen";
  if (holder.space !== undefined && holder.space !== spaceOf()) return "unseen";
  if (holder.started === "") return "alive";
  return processStart(holder.pid) === holder.started ? "alive" : "dead";
}

/** True only when it is certainly gone. */
export function isDead(holder: Holder): boolean {
  return stateOf(holder) === "dead";
}

function spaceOf(): string | undefined {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return undefined;
  }
}

let boot: string | undefined;

/** Boot id and start time in ticks of a live process, from /proc; undefined when it is gone, a zombie, or there is no /proc. */
export function processStart(pid: number): string | undefined {
  try {
    boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = procStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
    return stat === undefined || stat.ended ? undefined : `${boot}/${stat.started}`;
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
