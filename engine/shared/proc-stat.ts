/** What Linux tells of a process in `/proc/PID/stat`. */
export interface ProcStat {
  /** As in proc(5): `T` is stopped. */
  state: string;
  /** It has ended, and nobody has asked for it yet. */
  ended: boolean;
  parent: number;
  group: number;
  session: number;
  /** When it began, in ticks since the boot. */
  started: string;
}

/** Undefined for an empty text, as of a process that is gone. */
export function procStat(text: string): ProcStat | undefined {
  // Fields are counted after the command's name, which may hold spaces and brackets.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state = "", parent, group, session] = fields;
  const started = fields[19];
  if (started === undefined) return undefined;
  return {
    state,
    ended: state === "Z" || state === "X",
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    started,
  };
}
