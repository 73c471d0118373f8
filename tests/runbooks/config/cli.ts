import { join } from "node:path";

const ROOT = join(import.meta.dir, "../../..");

export interface Ended {
  exit: number | null;
  signal: string | null;
  /** The envelope; null when it was killed before it could print one. */
  envelope: any;
  stderr: string;
}

/** Runs the command line from its sources, as a user would, in a process of its own. */
export async function pgdba(args: string[], env: Record<string, string>, preload?: string): Promise<Ended> {
  const child = Bun.spawn([process.execPath, ...(preload === undefined ? [] : ["--preload", preload]), join(ROOT, "engine/main.ts"), ...args], {
    cwd: env.PGDBA_HOME ?? "/",
    env: { PATH: process.env.PATH ?? "", HOME: env.PGDBA_HOME ?? "/nonexistent", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const exit = await child.exited;
  return { exit: child.signalCode === null ? exit : null, signal: child.signalCode, envelope: out === "" ? null : JSON.parse(out), stderr };
}
