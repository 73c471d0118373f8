import { join } from "node:path";
import { inProcess } from "../../support/in-process.ts";

const ROOT = join(import.meta.dir, "../../..");

export interface Ended {
  exit: number | null;
  /** What ended it, when it did not end by itself. */
  signal: string | null;
  /** The envelope; null when it was killed before it could print one. */
  envelope: any;
  stderr: string;
}

/** Runs the command line from its sources, as a user would; in a process of its own where something is preloaded, or `kill` ends it as by `kill -9`. */
export async function pgdba(
  args: string[],
  env: Record<string, string>,
  preload?: string,
  kill?: AbortSignal,
): Promise<Ended> {
  if (preload === undefined && kill === undefined)
    return { ...(await inProcess(args, env)), signal: null };
  const child = Bun.spawn(
    [
      process.execPath,
      ...(preload === undefined ? [] : ["--preload", preload]),
      join(ROOT, "engine/main.ts"),
      ...args,
    ],
    {
      cwd: env.PGDBA_HOME ?? "/",
      env: { PATH: process.env.PATH ?? "", HOME: env.PGDBA_HOME ?? "/nonexistent", ...env },
      ...(kill === undefined ? {} : { signal: kill, killSignal: "SIGKILL" }),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [out, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const exit = await child.exited;
  const signal = child.signalCode === null ? null : String(child.signalCode);
  return {
    exit: signal === null ? exit : null,
    signal,
    envelope: out === "" ? null : JSON.parse(out),
    stderr,
  };
}
