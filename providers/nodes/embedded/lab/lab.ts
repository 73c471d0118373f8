import { join, resolve } from "node:path";
import { exclusively } from "../../../../engine/shared/exclusive.ts";
import type { ConnectionSpec } from "../../../postgres/connect.ts";
import { LAB } from "../../../registry/folder.ts";
import type { ClusterEntry } from "../../../registry/read.ts";
import { secretPath } from "../../../registry/secrets.ts";
import { homeOf, makeDir } from "../home.ts";
import { stateOf } from "../life.ts";
import {
  assertOfLab,
  connectionOf,
  type Found,
  findLab,
  type LabOptions,
  readEntry,
} from "./found.ts";

export interface Lab {
  entry: ClusterEntry;
  connection: ConnectionSpec;
  dataDir: string;
  version: number;
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

/** To make it takes seconds; somebody who waits longer than this waits for something else. */
const LOCK_MS = 120_000;

/**
 * The lab, running: the cluster `lab` of this provider, with one node. It is made and filled when there is none, and started when it is
 * stopped. Calls at the same time wait for each other. The server outlives this process; `labDown` stops it.
 * @throws PgdbaError step_refused: another cluster has the name | invalid_config | unsupported | io_failed | command_failed | lock_held
 */
export async function labUp(options: LabOptions): Promise<Lab> {
  const running = await findRunning(options);
  if (running !== undefined) return running;
  return locked(options, async () => {
    const another = await findRunning(options);
    if (another !== undefined) return another;
    assertOfLab(await readEntry(options.stateDir));
    const { makeLab, startLab } = await import("./make.ts");
    const made = (await findLab(options)) === undefined;
    await (made ? makeLab(options) : startLab(options));
    return labOf((await findLab(options))!, { made, started: true });
  });
}

/** Tells the state of the lab, without starting it. @throws PgdbaError invalid_config */
export async function labStatus(options: LabOptions): Promise<LabStatus> {
  const found = await findLab(options);
  if (found === undefined)
    return { exists: false, running: false, port: null, data_dir: null, version: null };
  const { record, at } = found;
  const { running } = await stateOf(record, at);
  const { port, version } = record;
  return { exists: true, running: running === "running", port, data_dir: at.data, version };
}

/**
 * Stops the lab, and with `remove` deletes it, also one that was not made to the end. Gives whether there was anything to do.
 * @throws PgdbaError as `labUp`
 */
export function labDown(
  options: LabOptions & { remove?: boolean },
): Promise<{ stopped: boolean; removed: boolean }> {
  return locked(options, async () => {
    assertOfLab(await readEntry(options.stateDir));
    const { removeLab, stopLab } = await import("./make.ts");
    return options.remove === true ? removeLab(options) : stopLab(options);
  });
}

/** Removes the lab with this cluster id, whole or cut off in its making. Says whether there was one. @throws PgdbaError as `labUp` */
export function labDiscard(options: LabOptions, clusterId: string): Promise<boolean> {
  return locked(options, async () => {
    const entry = await readEntry(options.stateDir);
    if (entry?.data.cluster_id !== clusterId) return false;
    assertOfLab(entry);
    const { removeLab } = await import("./make.ts");
    return (await removeLab(options)).removed;
  });
}

/** The command that opens psql on the lab; the password is read where it is kept. */
export function psqlCommand(stateDir: string, port: number): string {
  const file = join(resolve(stateDir), secretPath(LAB, "superuser")).replaceAll("'", `'\\''`);
  return `PGPASSWORD="$(cat '${file}')" psql -h 127.0.0.1 -p ${port} -U postgres -d postgres`;
}

/** The quick way: the provider is not loaded and no process started to see that it runs. */
async function findRunning(options: LabOptions): Promise<Lab | undefined> {
  const found = await findLab(options);
  if (found === undefined) return undefined;
  const { running } = await stateOf(found.record, found.at);
  return running === "running" ? labOf(found, { made: false, started: false }) : undefined;
}

function labOf({ entry, record, at }: Found, did: Pick<Lab, "made" | "started">): Lab {
  const { version } = record;
  return { entry, connection: connectionOf(entry), dataDir: at.data, version, ...did };
}

/** Runs `work` while no other process makes, starts or ends the lab. */
async function locked<T>({ stateDir, signal }: LabOptions, work: () => Promise<T>): Promise<T> {
  const home = homeOf(stateDir, LAB);
  await makeDir(home);
  const wait = { what: "the lab", waitMs: LOCK_MS, ...(signal ? { signal } : {}) };
  return exclusively(join(home.dir, "lab.lock"), wait, work);
}
