import { existsSync } from "node:fs";
import {
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pid as ownPid } from "node:process";
import type { Client } from "pg";
import { type Binaries, BUNDLED_VERSION, openBinaries, spareDirs } from "../embedded/binaries.ts";
import {
  configure,
  initdb,
  isAlive,
  postmaster,
  runAs,
  SERVER_ENV,
  socketDirFits,
  waitReady,
} from "../embedded/server.ts";
import { type OrdinaryUser, ordinaryUser, reachableDir } from "../embedded/user.ts";

export interface TwinServerOptions {
  stateDir: string;
  log?(message: string): void;
  /** Where the data goes when an ordinary user can't enter the state folder; see `spareDirs`. */
  spares?: string[];
}

export interface TwinServer {
  dataDir: string;
  /** Whose files these are; null: our own. */
  user: OrdinaryUser | null;
  /** A connection; the caller need not end it, `close` does. */
  connect(role: string, database: string): Promise<Client>;
  /** Ends the server at once and removes its files. */
  close(): Promise<void>;
}

export const SUPERUSER = "postgres";
const PORT = 5432;
const START_MS = 30_000;

/**
 * The files hold statistics, which are user data: nothing is worth keeping after a crash, and nothing may ever analyze, read or
 * log them. `max_parallel_maintenance_workers` = 0 keeps CREATE INDEX from reading the metapages of other indexes into shared
 * buffers before `sizes.ts` has written their height; with `wal_level` = minimal a commit would.
 */
const SETTINGS = {
  listen_addresses: "",
  autovacuum: "off",
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  wal_level: "replica",
  max_wal_senders: 0,
  max_wal_size: "1GB",
  checkpoint_timeout: "1d",
  shared_buffers: "32MB",
  max_connections: 8,
  max_locks_per_transaction: 4096,
  max_parallel_maintenance_workers: 0,
  max_logical_replication_workers: 0,
  io_method: "sync",
  track_activities: "off",
  track_counts: "off",
  log_min_messages: "fatal",
  log_min_error_statement: "panic",
};

/**
 * Ends the server and removes its files when its standard input closes, which it does however this process ends. A session of its
 * own, so that Ctrl-C reaches the engine first.
 */
const KEEPER = `umask 077
"$@" >>"$TWIN_BASE/log" 2>&1 </dev/null & p=$!
cat >/dev/null
kill -QUIT $p 2>/dev/null
wait $p
rm -rf "$TWIN_BASE" "$TWIN_SOCKET"`;

/**
 * An empty PostgreSQL of the bundled version that lives as long as this process: reachable by a unix socket only, in a directory
 * that nobody else can enter. What earlier processes left behind when they were killed is removed first.
 * @throws PgdbaError unsupported | io_failed | command_failed | timeout
 */
export async function startTwinServer(options: TwinServerOptions): Promise<TwinServer> {
  const user = ordinaryUser();
  const spares = options.spares ?? spareDirs();
  const binaries = await openBinaries(BUNDLED_VERSION, user, spares);
  const root = await twinRoot(options.stateDir, user, spares);
  await sweep(root, binaries, user);
  const template = await templateIn(root, binaries, user, options);
  const base = join(root, await ownName());
  await makeDir(base, user);
  const dataDir = join(base, "data");
  let socketDir = join(base, "s");
  try {
    await runAs(user, ["cp", "-R", template, dataDir]);
    if (socketDirFits(socketDir)) await makeDir(socketDir, user);
    else {
      socketDir = await mkdtemp(join(tmpdir(), "pgdba-twin-"));
      if (user !== null) await chown(socketDir, user.uid, user.gid);
    }
    await configure(dataDir, { ...SETTINGS, port: PORT, unix_socket_directories: socketDir });
    // Whoever can enter the socket's directory could read the data files as well; a password would add nothing.
    await writeFile(join(dataDir, "pg_hba.conf"), "local all all trust\n");
  } catch (error) {
    await rm(base, { recursive: true, force: true });
    throw error;
  }
  const keeper = Bun.spawn(["/bin/sh", "-c", KEEPER, "keeper", binaries.postgres, "-D", dataDir], {
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
    cwd: "/",
    env: { ...SERVER_ENV, TWIN_BASE: base, TWIN_SOCKET: socketDir },
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  keeper.unref();
  const clients: Client[] = [];
  const close = async (): Promise<void> => {
    for (const client of clients.splice(0)) client.end().catch(() => {});
    await keeper.stdin.end();
    await keeper.exited;
    await rm(base, { recursive: true, force: true });
  };
  try {
    await waitReady(dataDir, { timeoutMs: START_MS, log: join(base, "log") });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    dataDir,
    user,
    close,
    async connect(role, database) {
      const { Client } = await import("pg");
      const client = new Client({
        host: socketDir,
        port: PORT,
        user: role,
        database,
        application_name: "pgdba twin",
      });
      client.on("error", () => {});
      await client.connect();
      clients.push(client);
      return client;
    },
  };
}

/** Where twins live: below the state folder, or where the server's account can go. */
async function twinRoot(
  stateDir: string,
  user: OrdinaryUser | null,
  spares: string[],
): Promise<string> {
  const wanted = join(resolve(stateDir), "twin");
  const key = new Bun.CryptoHasher("sha256").update(wanted).digest("hex").slice(0, 12);
  return reachableDir(wanted, user, `twin-${key}`, spares);
}

/** A directory name from which a later process can tell that this one is gone. */
async function ownName(): Promise<string> {
  return `run-${ownPid}-${await processStart(ownPid)}-${crypto.randomUUID().slice(0, 8)}`;
}

async function makeDir(dir: string, user: OrdinaryUser | null): Promise<void> {
  await mkdir(dir, { mode: 0o700 });
  if (user !== null) await chown(dir, user.uid, user.gid);
}

/** A data directory as initdb makes it, without anybody's data; made once per build of the server. */
async function templateIn(
  root: string,
  binaries: Binaries,
  user: OrdinaryUser | null,
  options: TwinServerOptions,
): Promise<string> {
  const built = Math.round((await stat(binaries.postgres)).mtimeMs);
  const template = join(root, `template-${binaries.version}-${built}`);
  if (existsSync(template)) return template;
  options.log?.("preparing the planner's twin for the first time");
  const draft = join(root, await ownName());
  try {
    await initdb({
      binaries,
      user,
      dataDir: draft,
      superuser: SUPERUSER,
      password: crypto.randomUUID(),
      // A checksum would tell the metapages that we write from those the server wrote.
      args: ["--wal-segsize=1", "--no-data-checksums"],
    });
    // Atomic: whoever finds the directory finds all of it. Another process may have been faster.
    await rename(draft, template).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(template)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return template;
}

/** Removes the twins of processes that are gone, ending a server that outlived its keeper. */
async function sweep(root: string, binaries: Binaries, user: OrdinaryUser | null): Promise<void> {
  for (const name of await readdir(root)) {
    const [, pid, start] = /^run-(\d+)-(\w+)-/.exec(name) ?? [];
    if (pid === undefined) continue;
    const owner = Number(pid);
    if (isAlive(owner) && (await processStart(owner)) === start) continue;
    const base = join(root, name);
    const found = await postmaster(join(base, "data"));
    if (found !== null && isAlive(found.pid)) {
      await runAs(user, [
        binaries.pg_ctl,
        "stop",
        "-s",
        "-m",
        "immediate",
        "-D",
        join(base, "data"),
      ]).catch(() => {});
    }
    await rm(base, { recursive: true, force: true });
  }
}

/** When a process began, in a form that only tells it from another with the same id. */
async function processStart(pid: number): Promise<string> {
  // Field 22 of proc_pid_stat(5), counted after the command's closing parenthesis: that may hold spaces.
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (text !== null) return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "0";
  const ps = Bun.spawnSync(["ps", "-o", "lstart=", "-p", String(pid)], { env: SERVER_ENV });
  return ps.stdout.toString().replaceAll(/\W/g, "") || "0";
}
