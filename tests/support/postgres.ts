/** Real PostgreSQL servers for tests. They die with the process that asked for them, even when it is killed. */

import { chown, mkdir, mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Binaries, openBinaries } from "../../providers/nodes/embedded/binaries.ts";
import {
  configure,
  freePort,
  postmaster,
  SERVER_ENV,
  waitReady,
} from "../../providers/nodes/embedded/server.ts";
import { ordinaryUser, spareBase, traversable } from "../../providers/nodes/embedded/user.ts";
import { freshData } from "./template.ts";

export type Version = 13 | 14 | 15 | 16 | 17 | 18;
export const VERSIONS: readonly Version[] = [13, 14, 15, 16, 17, 18];

export interface TestServer {
  version: Version;
  host: string;
  port: number;
  user: string;
  database: string;
  password: string;
  socketDir: string;
  dataDir: string;
  /** Stops it cleanly, its sessions cut, and starts it again; `offline` runs while it is down. */
  restart(offline?: () => Promise<void>): Promise<void>;
  /** The server's log so far. */
  log(): Promise<string>;
  /** Stops it at once and removes its files. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  version?: Version;
  /** Others than those of the npm packages. */
  binaries?: Binaries;
  settings?: Record<string, string | number | boolean>;
  initdbArgs?: string[];
  /** Called with the data directory before the server starts, e.g. to put a certificate there. */
  prepare?(dataDir: string): Promise<void>;
}

/** Losing data in a crash is fine here; waiting for a disk is not. */
const FAST = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" };

/**
 * Stops and starts the server by word, and ends it and removes its files when standard input closes, which it does however the test
 * process ends.
 */
const KEEPER = `start() { "$@" >>"$PGDBA_LOG" 2>&1 </dev/null & p=$!; }
start "$@"
while read -r word; do
  case $word in
    stop) kill -INT $p; wait $p ;;
    start) start "$@" ;;
  esac
done
kill -QUIT $p 2>/dev/null
wait $p
rm -rf "$PGDBA_BASE"`;

/** A new server of its own, with its own data directory. About 0.3 s. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const version = options.version ?? 18;
  const user = ordinaryUser();
  const binaries = options.binaries ?? (await openBinaries(version, user));
  const parent = (await traversable(join(tmpdir(), "x")))
    ? tmpdir()
    : await spareBase(["/tmp", "/var/lib/pgdba"]);
  const base = await mkdtemp(join(parent, "pgdba-test-"));
  const dataDir = join(base, "data");
  const socketDir = join(base, "s");
  await mkdir(socketDir, { mode: 0o700 });
  if (user !== null) for (const dir of [base, socketDir]) await chown(dir, user.uid, user.gid);
  const password = await freshData(binaries, user, dataDir, options.initdbArgs ?? []);
  const port = await freePort();
  await configure(dataDir, {
    ...FAST,
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: socketDir,
    ...options.settings,
  });
  await options.prepare?.(dataDir);
  const log = join(base, "log");
  const keeper = Bun.spawn(["/bin/sh", "-c", KEEPER, "keeper", binaries.postgres, "-D", dataDir], {
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
    cwd: "/",
    env: { ...SERVER_ENV, PGDBA_LOG: log, PGDBA_BASE: base },
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
  });
  keeper.unref();
  const stop = async () => {
    await keeper.stdin.end();
    await keeper.exited;
  };
  const restart = async (offline?: () => Promise<void>) => {
    keeper.stdin.write("stop\n");
    await keeper.stdin.flush();
    while ((await postmaster(dataDir)) !== null) await Bun.sleep(10);
    await offline?.();
    keeper.stdin.write("start\n");
    await keeper.stdin.flush();
    await waitReady(dataDir, { timeoutMs: 20_000, log });
  };
  try {
    await waitReady(dataDir, { timeoutMs: 20_000, log });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    version,
    host: "127.0.0.1",
    port,
    user: "postgres",
    database: "postgres",
    password,
    socketDir,
    dataDir,
    restart,
    log: () => readFile(log, "utf8"),
    stop,
  };
}

const shared = new Map<Version, Promise<TestServer>>();

/** One server per version for the whole test process. Leave its settings and its default database alone. */
export function sharedServer(version: Version = 18): Promise<TestServer> {
  let server = shared.get(version);
  if (server === undefined) {
    server = startServer({ version, settings: { shared_preload_libraries: "pg_stat_statements" } });
    shared.set(version, server);
  }
  return server;
}

/** A client connected as the superuser; the caller ends it. */
export async function clientOf(server: TestServer, database = server.database) {
  const { Client } = await import("pg");
  const { host, port, user, password } = server;
  const client = new Client({ host, port, user, password, database });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** The statement that `reload` takes the place of. */
export const RELOAD = "SELECT pg_reload_conf()";

/** Has the server read its configuration, and waits until it has done so: sessions that begin from then on have what it says. */
export async function reload(client: Awaited<ReturnType<typeof clientOf>>): Promise<void> {
  const read = async (): Promise<string> =>
    (await client.query("SELECT pg_conf_load_time()::text AS at")).rows[0].at;
  const before = await read();
  await client.query(RELOAD);
  // The server tells its sessions when it has read it itself.
  while ((await read()) === before) await Bun.sleep(5);
}

let databases = 0;

/** A fresh, empty database on `server`; gives its name. It goes with the server, or with `dropDatabase`. */
export async function createDatabase(server: TestServer): Promise<string> {
  const name = `t${process.pid}_${++databases}`;
  const client = await clientOf(server);
  try {
    await client.query(`CREATE DATABASE ${name}`);
  } finally {
    await client.end();
  }
  return name;
}
