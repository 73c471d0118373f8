export interface PtyRun {
  stdout: string;
  stderr: string;
  /** Exit code, or minus the number of the signal that ended it. */
  code: number;
}

/** Runs a script of this folder under Bun with stdin and stderr on a pseudo terminal. */
export async function onTerminal(
  script: string,
  args: string[] = [],
  options: { send?: string; signal?: string; columns?: number } = {},
): Promise<PtyRun> {
  const argv = [process.execPath, `${import.meta.dir}/${script}`, ...args];
  const env = { ...process.env, TERM: "xterm-256color" };
  const python = Bun.spawn(
    ["python3", `${import.meta.dir}/pty.py`, JSON.stringify({ argv, ...options })],
    { env, stderr: "inherit" },
  );
  return JSON.parse(await new Response(python.stdout).text()) as PtyRun;
}
