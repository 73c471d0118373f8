import { chown, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { kill, platform } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import { spawnProcess } from "../../../engine/spawn.ts";
import type { Binaries } from "./binaries.ts";
import type { OrdinaryUser } from "./user.ts";

/** Nothing of our own environment reaches a server but what it needs; its messages stay in one language. */
export const SERVER_ENV = { LC_ALL: "C", TZ: "UTC", PATH: "/usr/local/bin:/usr/bin:/bin" };

export interface InitOptions {
  binaries: Binaries;
  user: OrdinaryUser | null;
  dataDir: string;
  superuser: string;
  password: string;
  args?: string[];
  /** Beside the environment of all servers. */
  env?: Record<string, string>;
  signal?: AbortSignal;
}

/** Creates a data directory with scram passwords on every line of pg_hba.conf. @throws PgdbaError command_failed */
export async function initdb(options: InitOptions): Promise<void> {
  const { binaries, user, dataDir } = options;
  // initdb reads the password from a file only its reader can read, never from argv.
  const passwordFile = `${dataDir}.pw`;
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
  if (user !== null) await chown(passwordFile, user.uid, user.gid);
  try {
    const argv = [
      binaries.initdb,
      `--pgdata=${dataDir}`,
      `--username=${options.superuser}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
      ...(options.args ?? []),
    ];
    await runAs(user, argv, options);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** Adds settings to `postgresql.conf`; values are quoted here. `more` are whole lines that come after them. */
export async function configure(
  dataDir: string,
  settings: Record<string, string | number | boolean>,
  more: readonly string[] = [],
): Promise<void> {
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`,
  );
  await Bun.write(
    join(dataDir, "postgresql.conf"),
    `${await readFile(join(dataDir, "postgresql.conf"), "utf8")}\n${[...lines, ...more].join("\n")}\n`,
  );
}

/**
 * Runs a program to its end as `user`. What it starts ends with us, unless it `outlives` us: a server that is to stay.
 * @throws PgdbaError command_failed with what it printed
 */
export async function runAs(
  user: OrdinaryUser | null,
  argv: string[],
  {
    outlives = false,
    env = {},
    signal: stop = new AbortController().signal,
  }: { outlives?: boolean; env?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<string> {
  const { exit_code, signal, stdout, stderr } = await spawnProcess(argv, {
    ...(user === null ? {} : { user: { uid: user.uid, gid: user.gid } }),
    cwd: "/",
    baseEnv: { ...SERVER_ENV, ...env },
    signal: stop,
    outlives,
  });
  if (exit_code === 0) return stdout;
  const how = exit_code === null ? `was ended by ${signal}` : `ended with exit code ${exit_code}`;
  throw new PgdbaError("command_failed", `${argv[0]} ${how}`, {
    hint: stderr.trim().split("\n").slice(-5).join("\n") || "It printed no reason.",
    data: { exit_code, stderr: stderr.slice(-4096) },
  });
}

export interface Postmaster {
  pid: number;
  port: number;
  /** The server's own word for how far it is. */
  status: "starting" | "ready" | "standby" | "stopping" | "";
}

/** The content of `postmaster.pid`, or null when there is none. Format: PostgreSQL's `src/include/utils/pidfile.h`. */
export async function postmaster(dataDir: string): Promise<Postmaster | null> {
  const text = await readFile(join(dataDir, "postmaster.pid"), "utf8").catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw error;
    },
  );
  if (text === null) return null;
  const lines = text.split("\n");
  const status = (lines[7] ?? "").trim() as Postmaster["status"];
  return { pid: Number(lines[0]), port: Number(lines[3]), status };
}

/**
 * True when the server that `found` names serves `dataDir`. After a crash or a reboot the number may be that of a process nobody
 * has reaped, or by now somebody else's, which must never be taken for the server: stopping it would end a stranger.
 */
export async function isServing(found: Postmaster | null, dataDir: string): Promise<boolean> {
  if (found === null || !isAlive(found.pid)) return false;
  return (await commandLine(found.pid)).includes(dataDir);
}

/** The arguments a process was started with, as anybody may read them; empty for one that has ended. */
async function commandLine(pid: number): Promise<string> {
  if (platform === "linux") return readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  const ps = Bun.spawn(["ps", "-ww", "-o", "command=", "-p", String(pid)], {
    cwd: "/",
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  return new Response(ps.stdout).text();
}

/** True when there is a process with this id, of any owner. */
export function isAlive(pid: number): boolean {
  try {
    return kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A server that was launched this long ago and has no living process has ended. */
const LAUNCH_MS = 2000;

/**
 * Waits until the server on `dataDir`, launched just now, says that it takes connections.
 * @throws PgdbaError command_failed (it ended; with the log's last lines) | timeout; the signal's reason when aborted
 */
export async function waitReady(
  dataDir: string,
  options: { timeoutMs: number; log: string; signal?: AbortSignal },
): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const found = await postmaster(dataDir);
    // A file left by a crash names a process that is gone, and may say "ready".
    const alive = await isServing(found, dataDir);
    if (alive && (found?.status === "ready" || found?.status === "standby")) return;
    options.signal?.throwIfAborted();
    const waited = performance.now() - begun;
    const ended = !alive && waited > LAUNCH_MS;
    if (ended || waited > options.timeoutMs) {
      const text = await readFile(options.log, "utf8").catch(() => "");
      const tail = text.trim().split("\n").slice(-5).join("\n");
      throw new PgdbaError(
        ended ? "command_failed" : "timeout",
        `PostgreSQL did not start on ${dataDir}`,
        {
          hint: tail === "" ? `Look at ${options.log}.` : `${options.log} ends with:\n${tail}`,
        },
      );
    }
    await Bun.sleep(10);
  }
}

/** A TCP port nothing listens on now. */
export function freePort(host = "127.0.0.1"): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(0, host, () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

/** The longest path of a unix socket, its terminating NUL included: 108 bytes on Linux, 104 on BSD and macOS. */
export function socketDirFits(dir: string): boolean {
  return Buffer.byteLength(join(dir, ".s.PGSQL.65535.lock")) < 104;
}
