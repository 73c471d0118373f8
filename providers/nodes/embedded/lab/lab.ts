import { existsSync } from "node:fs";
import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { exclusively } from "../../../../engine/shared/exclusive.ts";
import { fileError, writeWhole } from "../../../../engine/shared/write-file.ts";
import type { ConnectionSpec } from "../../../postgres/connect.ts";
import { clusterFile, LAB } from "../../../registry/folder.ts";
import { generateSecret } from "../../../registry/secrets.ts";
import { BUNDLED_VERSION, openBinaries, spareDirs } from "../binaries.ts";
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
} from "../server.ts";
import { ordinaryUser, reachableDir } from "../user.ts";
import {
  labDir,
  type LabRecord,
  HOST,
  passwordFile,
  readRecord,
  specOf,
  writeRecord,
} from "./record.ts";
import { registerLab, unregisterLab } from "./register.ts";

export interface LabOptions {
  stateDir: string;
  log?(message: string): void;
  /** The folder for the data when an ordinary user can't enter the state folder; see `spareDirs`. */
  spares?: string[];
  /** Looked at between the parts that take a while. */
  signal?: AbortSignal;
}

export interface Lab {
  connection: ConnectionSpec;
  port: number;
  dataDir: string;
  version: number;
  seeded: boolean;
  /** Null before it is registered. */
  identity: string | null;
  /** True when this call made it, or started it. */
  made: boolean;
  started: boolean;
}

export interface LabStatus {
  exists: boolean;
  running: boolean;
  port: number | null;
  data_dir: string | null;
  version: number | null;
}

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
  const running = await findRunning(dir, options);
  if (running !== null) return running;
  return locked(dir, async () => {
    const another = await findRunning(dir, options);
    if (another !== null) return another;
    const known = readRecord(dir);
    const record = known?.seeded === true ? known : await create(dir, options);
    const isNew = !record.seeded;
    const started = await start(dir, record, options);
    const spec = specOf(dir, record);
    if (isNew) await fill(dir, record, options);
    await registerLab({ ...options, dir }, record);
    if (started) await leaveIdle(spec, isNew, options);
    return labOf(record, spec, { made: isNew, started });
  });
}

async function fill(dir: string, record: LabRecord, options: LabOptions): Promise<void> {
  options.signal?.throwIfAborted();
  options.log?.("filling the lab");
  const { seed } = await import("./seed.ts");
  await seed(specOf(dir, record));
  record.seeded = true;
  await writeRecord(dir, record);
}

async function leaveIdle(
  spec: ConnectionSpec,
  isNew: boolean,
  { log, signal }: LabOptions,
): Promise<void> {
  const { leaveIdleTransaction } = await import("./seed.ts");
  await leaveIdleTransaction(spec).catch(() => log?.("the lab has no idle transaction this time"));
  if (!isNew || signal?.aborted) return;
  log?.("letting a transaction idle until it is worth a finding");
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, IDLE_MS);
    const stop = () => {
      clearTimeout(timer);
      resolve();
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Tells the state of the lab, without starting it. */
export async function labStatus(options: LabOptions): Promise<LabStatus> {
  const dir = labDir(options);
  const record = readRecord(dir);
  if (record === null)
    return { exists: false, running: false, port: null, data_dir: null, version: null };
  const running = record.seeded && (await isUp(record));
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
    await unregisterLab({ ...options, dir });
    // The lock file stays: somebody may be waiting on it.
    await rm(join(dir, "lab.json"), { force: true });
    await rm(passwordFile(dir), { force: true });
    await rm(record.base, { recursive: true, force: true });
    return { stopped, removed: true };
  });
}

/** Removes what is left of a lab whose making was cut off. Says whether there was any. @throws PgdbaError as `labDown` */
export async function discardUnfinished(options: LabOptions): Promise<boolean> {
  const record = readRecord(labDir(options));
  if (record === null || record.seeded) return false;
  return (await labDown({ ...options, remove: true })).removed;
}

/** The quick way: no package is loaded and no process started to see that it runs. */
async function findRunning(dir: string, { stateDir }: LabOptions): Promise<Lab | null> {
  const record = readRecord(dir);
  if (record === null || !record.seeded) return null;
  // A lab that an older pgdba made is registered the slow way.
  if (record.identity === undefined || !existsSync(clusterFile(stateDir, LAB))) return null;
  if (!(await isUp(record))) return null;
  return labOf(record, specOf(dir, record), { made: false, started: false });
}

async function isUp(record: LabRecord): Promise<boolean> {
  const dataDir = join(record.base, "data");
  const found = await postmaster(dataDir);
  if (found?.status !== "ready" || !(await isServing(found, dataDir))) return false;
  return answers(HOST, record.port);
}

function labOf(
  record: LabRecord,
  connection: ConnectionSpec,
  did: Pick<Lab, "made" | "started">,
): Lab {
  const { port, version, seeded, identity } = record;
  const dataDir = join(record.base, "data");
  return { connection, port, dataDir, version, seeded, identity: identity ?? null, ...did };
}

async function create(dir: string, options: LabOptions): Promise<LabRecord> {
  options.signal?.throwIfAborted();
  options.log?.(`making a PostgreSQL ${BUNDLED_VERSION} to try things on`);
  const user = ordinaryUser();
  const spares = options.spares ?? spareDirs();
  const key = new Bun.CryptoHasher("sha256").update(dir).digest("hex").slice(0, 12);
  const base = await reachableDir(join(dir, "server"), user, `lab-${key}`, spares);
  const record: LabRecord = {
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
  const password = generateSecret();
  await writeWhole(passwordFile(dir), password);
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

/** Says whether it had to be started. */
async function start(dir: string, record: LabRecord, options: LabOptions): Promise<boolean> {
  const user = ordinaryUser();
  const binaries = await openBinaries(record.version, user, options.spares ?? spareDirs());
  const dataDir = join(record.base, "data");
  const log = join(record.base, "log");
  options.signal?.throwIfAborted();
  const found = await postmaster(dataDir);
  // A server that is alive without being ready yet is starting, after a crash perhaps.
  const serving = await isServing(found, dataDir);
  if (!serving) {
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
  return !serving;
}

async function stop(record: LabRecord, options: LabOptions): Promise<boolean> {
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

/** Runs `work` while no other process does. */
async function locked<T>(dir: string, work: () => Promise<T>): Promise<T> {
  try {
    await mkdir(dir, { recursive: true });
    // The server's user must get through to its data; what is secret in here has a mode of its own.
    await chmod(dir, 0o711);
  } catch (cause) {
    throw fileError(dir, cause, "Name a folder that may be written with PGDBA_HOME.");
  }
  return exclusively(join(dir, "lock"), { what: "the lab", waitMs: LOCK_MS }, work);
}
