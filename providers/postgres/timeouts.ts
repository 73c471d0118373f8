export interface Timeouts {
  /** Milliseconds; the server cancels the statement then. Its own statement_timeout without it. */
  timeoutMs?: number | undefined;
  /** Milliseconds to wait for a lock. */
  lockTimeoutMs?: number | undefined;
}

interface Settings {
  statement_timeout: number | undefined;
  lock_timeout: number | undefined;
}
const NAMES = ["statement_timeout", "lock_timeout"] as const;

const settings = ({ timeoutMs, lockTimeoutMs }: Timeouts): Settings => ({
  statement_timeout: timeoutMs,
  lock_timeout: lockTimeoutMs,
});

/** What a transaction begins with. */
export function begin(mode: "READ ONLY" | "READ WRITE", timeouts: Timeouts): string[] {
  const wanted = settings(timeouts);
  const local = NAMES.filter((name) => wanted[name] !== undefined).map(
    (name) => `SET LOCAL ${name} = ${milliseconds(wanted[name]!)}`,
  );
  return [`BEGIN ${mode}`, ...local];
}

/** The session's own timeouts, remembered so that nothing is sent while they stay the same. */
export class SessionTimeouts {
  #set: Settings = settings({});

  /** The SET commands that make them what is wanted; undefined stands for the server's own. Empty when they are. */
  change(to: Timeouts): string {
    const wanted = settings(to);
    const changed = NAMES.filter((name) => wanted[name] !== this.#set[name]);
    this.#set = wanted;
    return changed
      .map((name) => {
        const ms = wanted[name];
        return `SET ${name} = ${ms === undefined ? "DEFAULT" : milliseconds(ms)}`;
      })
      .join("; ");
  }
}

/** A whole number of milliseconds that the server takes; it reads 0 as "none". */
function milliseconds(ms: number): number {
  return Math.min(2_147_483_647, Math.max(1, Math.ceil(ms)));
}
