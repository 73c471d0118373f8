import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import type { Binaries } from "../../nodes/embedded/binaries.ts";
import { configure, SERVER_ENV, socketDirFits, waitReady } from "../../nodes/embedded/server.ts";
import type { OrdinaryUser } from "../../nodes/embedded/user.ts";

export interface TwinServer {
  /** Its major version. */
  version: number;
  dataDir: string;
  /** The owner of these files; null when we own them ourselves. */
  user: OrdinaryUser | null;
  /** A connection; the caller need not end it, `close` does. */
  connect(role: string, database: string): Promise<Client>;
  /** Ends the server at once and removes its files. */
  close(): Promise<void>;
}

export const SUPERUSER = "postgres";
/** Owns all that is cloned and plans all statements: code that comes from the cloned server never runs as a superuser. */
export const OWNER = "twin";
export const DATABASE = "twin";
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
 * Starts the data directory `data` below `base`: reachable by a unix socket only, in a directory that nobody else can enter. The
 * server ends, and `base` is removed, with this process at the latest.
 * @throws PgdbaError command_failed | timeout
 */
export async function launch(
  base: string,
  binaries: Binaries,
  user: OrdinaryUser | null,
): Promise<TwinServer> {
  const dataDir = join(base, "data");
  let socketDir = join(base, "s");
  if (socketDirFits(socketDir)) await makeDir(socketDir, user);
  else {
    socketDir = await mkdtemp(join(tmpdir(), "pgdba-twin-"));
    if (user !== null) await chown(socketDir, user.uid, user.gid);
  }
  await configure(dataDir, {
    ...SETTINGS,
    ...(binaries.version >= 18 ? { io_method: "sync" } : {}),
    port: PORT,
    unix_socket_directories: socketDir,
  });
  // A user who can enter the socket's directory could read the data files as well, so a password would add nothing.
  await writeFile(join(dataDir, "pg_hba.conf"), "local all all trust\n");
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
    version: binaries.version,
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

/** A directory for `user` alone. */
export async function makeDir(dir: string, user: OrdinaryUser | null): Promise<void> {
  await mkdir(dir, { mode: 0o700 });
  if (user !== null) await chown(dir, user.uid, user.gid);
}
