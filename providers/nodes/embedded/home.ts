import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, realpath, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import type { Account, Opening, Role } from "../contract.ts";
import { NODE_NAME } from "../spec.ts";
import { spareDirs } from "./binaries.ts";
import { type OrdinaryUser, ordinaryUser, reachableDir } from "./user.ts";

export const HOST = "127.0.0.1";

/** The folders of one cluster: what is ours to know, and what the server's account must reach. */
export interface Home {
  cluster: string;
  /** Below the state folder: locks, and where the rest is. */
  dir: string;
  user: OrdinaryUser | null;
  /** See `Opening.reached`. */
  reached?: Opening["reached"];
}

/** The content of `node.json`: the labels of a node, and how to run it. */
export interface NodeRecord {
  cluster: string;
  node: string;
  roles: Role[];
  labels: { run: string; path: string };
  /** True once it was made to the end. */
  made: boolean;
  version: number;
  /** Null for those that come with pgdba. */
  bin: string | null;
  port: number;
  /** True when the spec named the port: then it is never another one. */
  port_named?: boolean;
  /** In MB; 16 without it. */
  wal_segment_size?: number | undefined;
  superuser: Account;
  replication: Account;
}

const CLUSTER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** A record is some lines. */
const MAX_BYTES = 64 * 1024;

/** @throws PgdbaError invalid_config | unsupported */
export function homeOf(stateDir: string, cluster: string): Home {
  if (!CLUSTER_NAME.test(cluster)) {
    throw new PgdbaError("invalid_config", `${JSON.stringify(cluster)} can't name a cluster here`, {
      hint: "Use letters, digits, `.`, `-` and `_`; it names a folder.",
    });
  }
  return { cluster, dir: join(resolve(stateDir), "nodes", cluster), user: ordinaryUser() };
}

/** The folder of the nodes; undefined when there are none. */
export function baseOf(home: Home): string | undefined {
  const text = readTextIfThere(join(home.dir, "place.json"), { maxBytes: MAX_BYTES });
  return text === undefined ? undefined : (parsed(text) as { base?: string } | undefined)?.base;
}

/** The same, made where it is missing. The server's account can enter it, and nobody else. */
export async function makeBase(home: Home): Promise<string> {
  const known = baseOf(home);
  await makeDir(home);
  const key = new Bun.CryptoHasher("sha256").update(home.dir).digest("hex").slice(0, 12);
  const wanted = join(home.dir, "here");
  if (known !== undefined && existsSync(known)) return known;
  // Without links on the way: the kernel tells of processes where they really work.
  const base = await realpath(await reachableDir(wanted, home.user, `nodes-${key}`, spareDirs()));
  await writeWhole(join(home.dir, "place.json"), `${JSON.stringify({ base })}\n`);
  return base;
}

/** The server's account must get through to its data; what is secret in here has a mode of its own. */
export async function makeDir(home: Home): Promise<void> {
  try {
    await mkdir(home.dir, { recursive: true });
    for (const dir of [join(home.dir, ".."), home.dir]) await chmod(dir, 0o711);
  } catch (cause) {
    throw new PgdbaError("io_failed", `${home.dir} can't be made`, {
      hint: "Name a folder that may be written with PGDBA_HOME.",
      cause,
    });
  }
}

/** Nothing is kept of a cluster without nodes, but its locks: somebody may be waiting for them. */
export async function removeBase(home: Home): Promise<void> {
  const base = baseOf(home);
  if (base !== undefined) await rm(base, { recursive: true, force: true });
  await rm(join(home.dir, "place.json"), { force: true });
}

// ---------------------------------------------------------------- nodes

export interface Place {
  dir: string;
  data: string;
  log: string;
  socket: string;
  passfile: string;
  jobs: string;
}

export function placeOf(base: string, node: string): Place {
  const dir = join(base, node);
  return {
    dir,
    data: join(dir, "data"),
    log: join(dir, "log"),
    socket: join(dir, "s"),
    passfile: join(dir, "passfile"),
    jobs: join(dir, "jobs"),
  };
}

export async function readRecords(home: Home): Promise<NodeRecord[]> {
  const base = baseOf(home);
  if (base === undefined) return [];
  const names = await readdir(base).catch(() => []);
  return names
    .toSorted()
    .filter((name) => NODE_NAME.test(name))
    .flatMap((name) => readRecord(base, name) ?? []);
}

export function readRecord(base: string, node: string): NodeRecord | undefined {
  const text = readTextIfThere(join(base, node, "node.json"), { maxBytes: MAX_BYTES });
  return text === undefined ? undefined : (parsed(text) as NodeRecord | undefined);
}

export async function writeRecord(home: Home, base: string, record: NodeRecord): Promise<void> {
  const file = join(base, record.node, "node.json");
  await writeWhole(file, `${JSON.stringify(record, null, 2)}\n`, { owner: home.user ?? undefined });
}

/** Files are written whole, so that one that is no JSON was changed by somebody else. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws PgdbaError step_failed when there is no such node */
export async function nodeOf(home: Home, node: string): Promise<{ record: NodeRecord; at: Place }> {
  const base = baseOf(home);
  const record = base === undefined || !NODE_NAME.test(node) ? undefined : readRecord(base, node);
  if (base === undefined || record === undefined) {
    const names = (await readRecords(home)).map((one) => one.node);
    throw new PgdbaError("step_failed", `${home.cluster} has no node ${node}`, {
      hint: names.length > 0 ? `Its nodes are ${names.join(", ")}.` : "It has no nodes.",
      nothingDone: true,
    });
  }
  return { record, at: placeOf(base, node) };
}
