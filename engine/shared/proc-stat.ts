/** What Linux tells of a process in `/proc/PID/stat`. */
export interface ProcStat {
  /** As in proc(5): `T` is stopped. */
  state: string;
  /** It has ended, and nobody has asked for it yet. */
  ended: boolean;
  parent: number;
  group: number;
  session: number;
  /** One of the kernel's own threads. */
  kernel: boolean;
  /** When it began, in ticks since the boot. */
  started: string;
  /** It began with no environment at all. Known only of a process that we may look into, and not while it becomes another program. */
  bare: boolean;
}

/** PF_KTHREAD of Linux's sched.h. A session of 0 does not tell it: in a container that somebody entered, programs have it too. */
const KERNEL_THREAD = 0x0020_0000;

/** Undefined for an empty text, as of a process that is gone. */
export function procStat(text: string): ProcStat | undefined {
  // Fields are counted after the command's name, which may hold spaces and brackets.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state = "", parent, group, session] = fields;
  const flags = fields[6];
  const started = fields[19];
  // env_start and env_end of proc(5); both are 0 where they are not told, and in an exec until the new program's are known.
  const [from = "0", to = "0"] = fields.slice(47, 49);
  if (started === undefined) return undefined;
  return {
    state,
    ended: state === "Z" || state === "X",
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    kernel: (Number(flags) & KERNEL_THREAD) !== 0,
    started,
    bare: to !== "0" && from === to,
  };
}
