/**
 * A server on a fetched data directory that nobody else reaches: it listens on a socket in a folder of its own, archives nothing unless told
 * to, and reads its own configuration. It ends with this process.
 */
import { existsSync } from "node:fs";
import { appendFile, chmod, chown, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { kill } from "node:process";
import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import { spawnProcess } from "../../../engine/spawn.ts";
import { openSession, type PgSession } from "../../postgres/session.ts";

/** Where a server runs, and by whom. */
export interface ServerPlace {
  data: string;
  /** The folder of the server's programs. */
  programs: string;
  /** For its socket, its configuration and its log: short, for a socket's path is limited. */
  folder: string;
  owner: { uid: number; gid: number } | null;
  /** A superuser of the cluster. */
  user: string;
}

export interface ServerPlan extends ServerPlace {
  settings: Record<string, string>;
  /** Also reached at this port of the loopback, with the password of this one role. */
  network?: { port: number; user: string };
}

const PORT = 5432;
/** One that has started, and takes no connection for so long, is not busy. */
const OPEN_MS = 60_000;
const AGAIN_MS = 50;
/** A log's end, for a hint. */
const TAIL_LINES = 6;

export class ScratchServer {
  readonly #plan: ServerPlan;
  readonly #ends = new AbortController();
  #ended: { how: string } | null = null;
  #running: Promise<void> = Promise.resolve();
  #pid = 0;

  constructor(plan: ServerPlan) {
    this.#plan = plan;
  }

  get ended(): { how: string } | null {
    return this.#ended;
  }

  get port(): number {
    return this.#plan.network?.port ?? PORT;
  }

  async start(): Promise<void> {
    const { data, programs, folder, owner, settings, network } = this.#plan;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    const file = async (name: string, text: string) => {
      const path = join(folder, name);
      await writeFile(path, text, { mode: 0o600 });
      if (owner) await chown(path, owner.uid, owner.gid);
      return path;
    };
    if (owner) await chown(folder, owner.uid, owner.gid);
    // A backup that was taken from a running server holds these; the new one would take them for a crash of its own.
    for (const name of ["postmaster.pid", "postmaster.opts", "recovery.signal"])
      await rm(join(data, name), { force: true });
    const far = network ? `host all ${network.user} 127.0.0.1/32 scram-sha-256\n` : "";
    const hba = await file("pg_hba.conf", `local all all trust\n${far}`);
    const config = await file("postgresql.conf", "");
    const all: Record<string, string> = {
      ...settings,
      listen_addresses: network ? "127.0.0.1" : "",
      port: String(this.port),
      unix_socket_directories: folder,
      unix_socket_permissions: "0700",
      hba_file: hba,
      ident_file: await file("pg_ident.conf", ""),
      config_file: config,
      logging_collector: "off",
      log_destination: "stderr",
      ssl: "off",
      hot_standby: "on",
      primary_conninfo: "",
      primary_slot_name: "",
      // A cluster's own jobs must not run on a copy.
      "cron.launch_active_jobs": "off",
    };
    const argv = [
      join(programs, "postgres"),
      "-D",
      data,
      ...Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ];
    this.#ended = null;
    const log = await file("log", "");
    const started = Promise.withResolvers<void>();
    this.#running = spawnProcess(argv, {
      baseEnv: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/local/bin:/usr/bin:/bin" },
      cwd: data,
      signal: this.#ends.signal,
      user: owner ?? undefined,
      onStart: (pid) => {
        this.#pid = pid;
        started.resolve();
      },
      onStdout: (bytes) => appendFile(log, bytes),
      onStderr: (bytes) => appendFile(log, bytes),
    }).then(
      ({ exit_code, signal }) => {
        this.#ended = { how: signal ?? `exit code ${exit_code}` };
        started.resolve();
      },
      (error: unknown) => {
        this.#ended = { how: toPgdbaError(error).message };
        started.reject(error);
      },
    );
    await started.promise;
  }

  async log(): Promise<string> {
    const text = await readFile(join(this.#plan.folder, "log"), "utf8").catch(() => "");
    return text.trim().split("\n").slice(-TAIL_LINES).join("\n");
  }

  /**
   * Asks again until it takes a connection: a machine that is busy may be late, and hours of fetching must not be lost for that.
   * @throws PgdbaError connection_failed
   */
  async opened(
    database = "postgres",
    signal?: AbortSignal,
    patienceMs = OPEN_MS,
  ): Promise<PgSession> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      signal?.throwIfAborted();
      const session = await this.open(database);
      if (session !== null) return session;
      if (this.#ended !== null || performance.now() > deadline)
        throw new PgdbaError(
          "connection_failed",
          `The restored server takes no connections to ${database}${this.#ended === null ? "" : `: it ended (${this.#ended.how})`}`,
          { hint: await this.log() },
        );
      await Bun.sleep(AGAIN_MS);
    }
  }

  /** Null while it takes no connections yet. */
  async open(database = "postgres"): Promise<PgSession | null> {
    if (!existsSync(join(this.#plan.folder, `.s.PGSQL.${this.port}`))) return null;
    try {
      return await openSession({
        host: this.#plan.folder,
        port: this.port,
        user: this.#plan.user,
        database,
        sslmode: "disable",
        application_name: "pgdba",
        connect_timeout_ms: 2000,
      });
    } catch (error) {
      const isStarting = error instanceof PgdbaError && error.retryable;
      if (isStarting || this.#ended !== null) return null;
      throw error;
    }
  }

  /** `fast`: it writes a checkpoint, or as a standby a restart point, from where it goes on the next time. */
  async stop(): Promise<void> {
    if (this.#ended === null && this.#pid > 0) {
      try {
        kill(this.#pid, "SIGINT");
      } catch {
        // It has ended by itself meanwhile.
      }
    }
    await this.#running;
  }
}
