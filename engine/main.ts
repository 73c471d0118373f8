/**
 * The way in. PostgreSQL calls `pgdba wal` for each segment of WAL, and a node `pgdba work` for what is done beside the data: both do without
 * all that the front door loads.
 */
const [first = "", ...rest] = process.argv.slice(2);
if (first === "wal" || first === "work") {
  const { worker } = await import("../providers/backup/front.ts");
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => stop.abort(new Error(`it was told to end by ${name}`)));
  // The server that called us may be gone when we have something to say; whoever writes is told.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  // The launcher starts us in our own folder, and tells the caller's.
  const cwd = process.env["PGDBA_CWD"] ?? process.cwd();
  process.exit(
    await worker([first, ...rest], {
      cwd,
      env: process.env,
      signal: stop.signal,
      stdin: () => Bun.stdin.stream(),
      stdout: (bytes) => written(1, bytes),
      stderr: (bytes) => written(2, bytes),
      // It must not hold what the server gave us: not its folder, nor the pipe of its log.
      begin: (argv) =>
        Bun.spawn([...self(), ...argv], {
          cwd: "/",
          stdio: ["ignore", "ignore", "ignore"],
        }).unref(),
    }),
  );
}
await import("./front-door.ts");

/** The words by which this program was started. */
function self(): string[] {
  return Bun.isStandaloneExecutable
    ? [process.execPath]
    : [process.execPath, ...process.execArgv, Bun.main];
}

/** All of it, as fast as it is read. @throws what the system says, where the reader went away meanwhile */
function written(fd: 1 | 2, bytes: Uint8Array): Promise<void> {
  const stream = fd === 1 ? process.stdout : process.stderr;
  return new Promise((resolve, reject) => {
    // There is no "drain" of a stream whose reader went away, and bun spins while it waits for nothing.
    if (stream.write(bytes, (error) => (error ? reject(error) : resolve()))) resolve();
  });
}
export {};
