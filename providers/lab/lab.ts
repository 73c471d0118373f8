import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { readText, readTextIfThere } from "../../engine/shared/read-file.ts";
import { writeWhole } from "../../engine/shared/write-file.ts";
import { BUNDLED_VERSION, openBinaries, spareDirs } from "../nodes/embedded/binaries.ts";
import {
  answers,
  configure,
  freePort,
  initdb,
  isServing,
  postmaster,
  runAs,
  socketDirFits,
  waitReady,
} from "../nodes/embedded/server.ts";
import { ordinaryUser, reachableDir } from "../nodes/embedded/user.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";

export interface LabOptions {
  stateDir: string;
  log?(message: string): void;
  /** Where the data goes when an ordinary user can't enter the state folder; see `spareDirs`. */
  spares?: string[];
}

export interface Lab {
  connection: ConnectionSpec;
  port: number;
  dataDir: string;
  version: number;
  seeded: boolean;
}

export interface LabStatus {
  exists: boolean;
  running: boolean;
  port: number | null;
  data_dir: string | null;
  version: number | null;
}

/** What `lab.json` in the state folder remembers. */
interface Record {
  version: number;
  port: number;
  /** Holds `data`, the log and the socket; owned by the user the server runs as. */
  base: string;
  seeded: boolean;
}

const HOST = "127.0.0.1";
/** Its record and its password are some bytes. */
const MAX_BYTES = 64 * 1024;
const START_MS = 30_000;
/** The first start takes seconds; somebody who waits for it longer than this waits for something else. */
const LOCK_MS = 60_000;
/** From here on the health check mentions a session that is idle in a transaction, with a little to spare. */
const IDLE_MS = 5_600;

/**
 * The lab, running: made and filled when there is none, started when it is stopped. Calls at the same time wait for each other.
 * The server outlives this process; `labDown` stops it.
 * @throws PgdbaError unsupported | io_failed | command_failed | lock_held
 */
export async function labUp(options: LabOptions): Promise<Lab> {
  const dir = labDir(options);
  const running = await findRunning(dir);
  if (running !== null) return running;
  return locked(dir, async () => {
    const another = await findRunning(dir);
    if (another !== null) return another;
    const known = readRecord(dir);
    const record = known?.seeded === true ? known : await create(dir, options);
    const isNew = !record.seeded;
    await start(dir, record, options);
    if (isNew) {
      options.log?.("filling the lab");
      const { seed } = await import("./seed.ts");
      await seed(await specOf(dir, record));
      record.seeded = true;
      await writeRecord(dir, record);
    }
    const { leaveIdleTransaction } = await import("./seed.ts");
    const spec = await specOf(dir, record);
    await leaveIdleTransaction(spec).catch(() =>
      options.log?.("the lab has no idle transaction this time"),
    );
    if (isNew) {
      options.log?.("letting a transaction idle until it is worth a finding");
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    }
    return labOf(record, spec);
  });
}

/** How the lab is, without starting it. */
export async function labStatus(options: LabOptions): Promise<LabStatus> {
  const dir = labDir(options);
  const record = readRecord(dir);
  if (record === null)
    return { exists: false, running: false, port: null, data_dir: null, version: null };
  const running = (await findRunning(dir)) !== null;
  return {
    exists: true,
    running,
    port: record.port,
    data_dir: join(record.base, "data"),
    version: record.version,
  };
}

/** Stops the lab, and with `remove` deletes it. Gives whether there was anything to do. @throws PgdbaError command_failed | lock_held */
export async function labDown(
  options: LabOptions & { remove?: boolean },
): Promise<{ stopped: boolean; removed: boolean }> {
  const dir = labDir(options);
  const known = readRecord(dir);
  if (known === null) return { stopped: false, removed: false };
  return locked(dir, async () => {
    const record = readRecord(dir);
    if (record === null) return { stopped: false, removed: false };
    const stopped = await stop(record, options);
    if (options.remove !== true) return { stopped, removed: false };
    // The lock file stays: somebody may be waiting on it.
    await rm(join(dir, "lab.json"), { force: true });
    await rm(join(dir, "password"), { force: true });
    await rm(record.base, { recursive: true, force: true });
    return { stopped, removed: true };
  });
}

function labDir(options: LabOptions): string {
  return join(resolve(options.stateDir), "lab");
}

/** The quick way: no package is loaded and no process started to see that it runs. */
async function findRunning(dir: string): Promise<Lab | null> {
  const record = readRecord(dir);
  if (record === null || !record.seeded) return null;
  const dataDir = join(record.base, "data");
  const found = await postmaster(dataDir);
  if (found?.status !== "ready" || !(await isServing(found, dataDir))) return null;
  if (!(await answers(HOST, record.port))) return null;
  return labOf(record, await specOf(dir, record));
}

function labOf(record: Record, connection: ConnectionSpec): Lab {
  const { port, version, seeded } = record;
  return { connection, port, dataDir: join(record.base, "data"), version, seeded };
}

async function specOf(dir: string, record: Record): Promise<ConnectionSpec> {
  const password = readText(join(dir, "password"), { maxBytes: MAX_BYTES });
  return {
    host: HOST,
    port: record.port,
    user: "postgres",
    database: "postgres",
    password: () => password,
    sslmode: "disable",
    application_name: "pgdba",
  };
}

async function create(dir: string, options: LabOptions): Promise<Record> {
  options.log?.(`making a PostgreSQL ${BUNDLED_VERSION} to try things on`);
  const user = ordinaryUser();
  const spares = options.spares ?? spareDirs();
  const key = new Bun.CryptoHasher("sha256").update(dir).digest("hex").slice(0, 12);
  const base = await reachableDir(join(dir, "server"), user, `lab-${key}`, spares);
  const record: Record = {
    version: BUNDLED_VERSION,
    port: await freePort(HOST),
    base,
    seeded: false,
  };
  // Left by an attempt that was cut off: nothing of it is worth keeping, and its server may even run.
  await stop(record, options);
  await rm(join(base, "data"), { recursive: true, force: true });
  await rm(join(base, "log"), { force: true });
  await writeRecord(dir, record);
  const password = Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url");
  await writeWhole(join(dir, "password"), password);
  const binaries = await openBinaries(BUNDLED_VERSION, user, spares);
  const dataDir = join(base, "data");
  await initdb({
    binaries,
    user,
    dataDir,
    superuser: "postgres",
    password,
    args: ["--wal-segsize=1"],
  });
  const socketDir = join(base, "socket");
  await mkdir(socketDir, { recursive: true, mode: 0o700 });
  if (user !== null) await chown(socketDir, user.uid, user.gid);
  const { LAB_SETTINGS } = await import("./seed.ts");
  await configure(dataDir, {
    ...LAB_SETTINGS,
    listen_addresses: HOST,
    unix_socket_directories: socketDirFits(socketDir) ? socketDir : "",
  });
  return record;
}

async function start(dir: string, record: Record, options: LabOptions): Promise<void> {
  const user = ordinaryUser();
  const binaries = await openBinaries(record.version, user, options.spares ?? spareDirs());
  const dataDir = join(record.base, "data");
  const log = join(record.base, "log");
  const found = await postmaster(dataDir);
  // One that is alive without being ready yet is on its way, after a crash perhaps.
  if (!(await isServing(found, dataDir))) {
    // The server itself would refuse to start while any process has the number that a crash left in these.
    await rm(join(dataDir, "postmaster.pid"), { force: true });
    await rm(join(record.base, "socket", `.s.PGSQL.${record.port}.lock`), { force: true });
    if (await answers(HOST, record.port)) {
      record.port = await freePort(HOST);
      await writeRecord(dir, record);
    }
    options.log?.(`starting the lab on port ${record.port}`);
    const launch = [
      "start",
      "--silent",
      "--no-wait",
      "-D",
      dataDir,
      "-l",
      log,
      "-o",
      `-p ${record.port}`,
    ];
    await runAs(user, [binaries.pg_ctl, ...launch], { outlives: true });
  }
  await waitReady(dataDir, { timeoutMs: START_MS, log });
}

async function stop(record: Record, options: LabOptions): Promise<boolean> {
  const dataDir = join(record.base, "data");
  const found = await postmaster(dataDir);
  if (!(await isServing(found, dataDir))) return false;
  const user = ordinaryUser();
  const binaries = await openBinaries(record.version, user, options.spares ?? spareDirs());
  await runAs(user, [
    binaries.pg_ctl,
    "stop",
    "--silent",
    "-m",
    "fast",
    "-w",
    "-t",
    "30",
    "-D",
    dataDir,
  ]);
  return true;
}

function readRecord(dir: string): Record | null {
  const text = readTextIfThere(join(dir, "lab.json"), { maxBytes: MAX_BYTES });
  if (text === undefined) return null;
  try {
    return JSON.parse(text) as Record;
  } catch {
    // With a file that is no JSON there is no lab that could be used.
    return null;
  }
}

async function writeRecord(dir: string, record: Record): Promise<void> {
  await writeWhole(join(dir, "lab.json"), `${JSON.stringify(record, null, 2)}\n`);
}

/** Runs `work` while no other process does. SQLite's lock ends with its holder, so that none is ever stale. */
async function locked<T>(dir: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dir, { recursive: true }).catch((cause: unknown) => {
    throw new PgdbaError("io_failed", `${dir} can't be made`, {
      hint: "Name a folder that may be written with PGDBA_HOME.",
      cause,
    });
  });
  // The server's user must get through to its data; what is secret in here has a mode of its own.
  await chmod(dir, 0o711);
  const { Database } = await import("bun:sqlite");
  const lock = new Database(join(dir, "lock"), { create: true });
  try {
    const deadline = performance.now() + LOCK_MS;
    for (;;) {
      try {
        lock.run("BEGIN EXCLUSIVE");
        break;
      } catch (cause) {
        if ((cause as { code?: string }).code !== "SQLITE_BUSY") throw cause;
        if (performance.now() > deadline) {
          throw new PgdbaError(
            "lock_held",
            "Another process has been busy with the lab for a minute",
            {
              hint: "Look for a pgdba that hangs, end it and run again.",
              cause,
            },
          );
        }
      }
      await Bun.sleep(25);
    }
    return await work();
  } finally {
    lock.close();
  }
}
