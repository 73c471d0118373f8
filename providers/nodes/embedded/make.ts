import { lchown, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "pg";
import { PgdbaError } from "../../../engine/errors.ts";
import { exclusively } from "../../../engine/shared/exclusive.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import { connect } from "../../postgres/connect.ts";
import { fromPostgres } from "../../postgres/errors.ts";
import { scramVerifier } from "../../postgres/scram.ts";
import { quoteIdent } from "../../planner/twin/names.ts";
import type { Account, By, Change, Opening, Spec } from "../contract.ts";
import { disarmNode } from "./arm.ts";
import { cloneInto, dropSlot } from "./clone.ts";
import { decide, findNodes, isStandby } from "./decide.ts";
import {
  baseOf,
  type Home,
  HOST,
  makeBase,
  makeDir,
  type NodeRecord,
  nodeOf,
  type Place,
  placeOf,
  readRecords,
  removeBase,
  writeRecord,
} from "./home.ts";
import { binariesOf, endNode, startNode, stateOf } from "./life.ts";
import { NODE_VARIABLE } from "./processes.ts";
import { choosePort } from "./port.ts";
import { configure, initdb, socketDirFits } from "./server.ts";

/** Whose cluster, and on whose behalf. */
export interface Work {
  home: Home;
  by: By;
  secret: Opening["secret"];
}

const lockOf = (home: Home): string => join(home.dir, "lock");
/** What others do under the lock takes seconds; one who waits for longer than this waits for something that hangs. */
const LOCK_MS = 60_000;
const wait = ({ home, by }: Work) => ({
  what: `the nodes of ${home.cluster}`,
  waitMs: LOCK_MS,
  signal: by.signal,
});

export async function plan(home: Home, spec: Spec): Promise<Change[]> {
  return decide(spec, await findNodes(home)).changes;
}

export async function provision(work: Work, spec: Spec): Promise<Change[]> {
  const { home, by } = work;
  await makeDir(home);
  return exclusively(lockOf(home), wait(work), async () => {
    const { changes, lead } = decide(spec, await findNodes(home));
    const passwords = await passwordsOf(work, spec);
    const base = await makeBase(home);
    const todo = changes.filter(({ act }) => act !== "keep");
    for (const [done, { node, act, what }] of todo.entries()) {
      by.signal.throwIfAborted();
      const text = `${act === "make" ? "making" : "starting"} ${node}, ${what}`;
      by.progress?.({ done, total: todo.length, unit: "nodes", text });
      if (act === "start") {
        await startNode({ ...(await nodeOf(home, node)), home, signal: by.signal });
      } else if (node === lead) await makePrimary(work, base, spec, node, passwords);
      else await makeStandby(work, base, spec, node, lead, passwords);
    }
    if (todo.length > 0)
      by.progress?.({ done: todo.length, total: todo.length, unit: "nodes", text: "done" });
    return changes;
  });
}

export async function deprovision(
  work: Work,
  which?: { run: string } | { nodes: readonly string[] },
): Promise<Change[]> {
  const { home } = work;
  const base = baseOf(home);
  if (base === undefined) return [];
  return exclusively(lockOf(home), wait(work), async () => {
    const all = await readRecords(home);
    const going = all.filter(
      ({ node, labels }) =>
        which === undefined ||
        ("run" in which ? labels.run === which.run : which.nodes.includes(node)),
    );
    const staying = all.filter((record) => !going.includes(record));
    if (which !== undefined && "nodes" in which && going.some(({ made }) => made))
      assertDataStays(staying);
    for (const { node } of going) {
      const at = placeOf(base, node);
      await disarmNode(home, node);
      await endNode(home, base, node, at);
      await forgetSlot(work, base, node, staying);
      // Last, and in one step: what has the label is found again after a crash.
      await rename(at.dir, join(base, `.removed-${node}-${crypto.randomUUID()}`));
    }
    await sweep(base);
    if (staying.length === 0) await removeBase(home);
    return going.map(({ node }): Change => ({ node, act: "remove", what: "with its data" }));
  });
}

function assertDataStays(staying: readonly NodeRecord[]): void {
  if (staying.some(({ made }) => made)) return;
  throw new PgdbaError("step_refused", "No node would be left that has the data", {
    hint: "To remove a whole cluster is another thing than to remove nodes: destroy it.",
    nothingDone: true,
  });
}

async function sweep(base: string): Promise<void> {
  for (const name of await readdir(base))
    if (name.startsWith(".removed-")) await rm(join(base, name), { recursive: true, force: true });
}

/** What can't be done here is told, for it fills a disk. */
async function forgetSlot(
  work: Work,
  base: string,
  node: string,
  staying: readonly NodeRecord[],
): Promise<void> {
  for (const record of staying) {
    if ((await stateOf(record, placeOf(base, record.node))).running !== "running") continue;
    try {
      const client = await clientOf(record, await work.secret(record.superuser.password));
      try {
        await dropSlot(client, node);
      } finally {
        await client.end().catch(() => {});
      }
    } catch (error) {
      const { message } = error as Error;
      work.by.log?.(`The replication slot of ${node} may be left on ${record.node}: ${message}`);
    }
  }
}

// ---------------------------------------------------------------- one node

type Passwords = ReadonlyMap<string, string>;

const accountsOf = (spec: Spec): Account[] => [
  spec.superuser,
  spec.replication,
  ...Object.values(spec.accounts ?? {}),
];

/** By account. All are asked for before anything is made. @throws PgdbaError missing_secret | invalid_param */
async function passwordsOf({ secret }: Work, spec: Spec): Promise<Passwords> {
  const found = new Map<string, string>();
  for (const { user, password } of accountsOf(spec)) {
    const value = await secret(password);
    if (value === "" || /[\n\r\0]/.test(value)) {
      throw new PgdbaError(
        "invalid_param",
        `The password of ${user} is empty or has a line break`,
        {
          hint: `Give another one as ${password}.`,
          nothingDone: true,
        },
      );
    }
    found.set(user, value);
  }
  return found;
}

async function makePrimary(
  work: Work,
  base: string,
  spec: Spec,
  node: string,
  passwords: Passwords,
): Promise<void> {
  const { home, by } = work;
  const { record, at } = await prepare(work, base, spec, node, passwords);
  await initdb({
    binaries: await binariesOf(home, record),
    user: home.user,
    dataDir: at.data,
    superuser: spec.superuser.user,
    password: passwords.get(spec.superuser.user)!,
    args: ["--data-checksums"],
    // So that one whose engine was killed is found and ended before the next begins.
    env: { [NODE_VARIABLE]: at.dir },
    signal: by.signal,
  });
  // Beside the data directory stands what is of this node alone, so that a copy of the one brings nothing of the other.
  await configure(at.data, { ...DEFAULTS, ...spec.settings }, ["include '../node.conf'"]);
  await startNode({ home, record, at, signal: by.signal });
  const client = await clientOf(record, passwords.get(spec.superuser.user)!);
  try {
    for (const sql of accountStatements(spec, passwords)) await client.query(sql);
    await client.query("CHECKPOINT");
  } catch (error) {
    throw fromPostgres(error, `The accounts of ${home.cluster} could not be made`, "query_failed");
  } finally {
    await client.end().catch(() => {});
  }
  await writeRecord(home, base, { ...record, made: true });
}

/** What makes standbys and rewinds possible (those need WAL from before the fork, which no slot keeps); a spec may say otherwise. */
const DEFAULTS = {
  wal_level: "replica",
  hot_standby: "on",
  wal_log_hints: "on",
  wal_keep_size: "128MB",
};

async function makeStandby(
  work: Work,
  base: string,
  spec: Spec,
  node: string,
  lead: string,
  passwords: Passwords,
): Promise<void> {
  const { home, by } = work;
  const from = await nodeOf(home, lead);
  if (await isStandby(from.at.data)) {
    throw new PgdbaError("step_refused", `${lead} is a primary no more`, {
      hint: "Its role was moved meanwhile; run again.",
      retryable: true,
    });
  }
  const { record, at } = await prepare(work, base, spec, node, passwords);
  const client = await clientOf(from.record, passwords.get(spec.superuser.user)!);
  try {
    await cloneInto(home, { client, ...from }, { at, record }, by.signal);
  } finally {
    await client.end().catch(() => {});
  }
  await startNode({ home, record, at, signal: by.signal });
  await writeRecord(home, base, { ...record, made: true });
}

/** The node's folder with all but the data. What an attempt that was cut off has left there is removed. */
async function prepare(
  { home, by }: Work,
  base: string,
  spec: Spec,
  node: string,
  passwords: Passwords,
): Promise<{ record: NodeRecord; at: Place }> {
  const at = placeOf(base, node);
  await endNode(home, base, node, at);
  const records = await readRecords(home);
  const before = records.find((record) => record.node === node);
  const { name, roles, place = {} } = spec.nodes.find((one) => one.name === node)!;
  const taken = records.filter((one) => one.node !== node).map(({ port }) => port);
  const record: NodeRecord = {
    cluster: home.cluster,
    node: name,
    roles,
    labels: before?.labels ?? { run: by.run, path: by.path },
    made: false,
    version: spec.version,
    bin: (spec.place?.["bin"] as string | undefined) ?? null,
    port: (place["port"] as number | undefined) ?? before?.port ?? (await choosePort(taken)),
    superuser: spec.superuser,
    replication: spec.replication,
  };
  await makeFolder(home, at.dir);
  await writeRecord(home, base, record);
  await rm(at.data, { recursive: true, force: true });
  await rm(at.log, { force: true });
  await makeFolder(home, at.socket);
  const owner = home.user ?? undefined;
  const lines = [...passwords].map(([user, value]) => `*:*:*:${escaped(user)}:${escaped(value)}\n`);
  await writeWhole(at.passfile, lines.join(""), { owner });
  const own = {
    cluster_name: node,
    port: record.port,
    listen_addresses: HOST,
    unix_socket_directories: socketDirFits(at.socket) ? at.socket : "",
  };
  const text = Object.entries(own).map(([key, value]) => `${key} = '${quoted(String(value))}'\n`);
  await writeWhole(join(at.dir, "node.conf"), text.join(""), { owner });
  return { record, at };
}

const quoted = (value: string): string => value.replaceAll("'", "''");
/** As libpq reads a passfile. */
const escaped = (value: string): string => value.replaceAll(/[:\\]/g, "\\$&");

async function makeFolder({ user }: Home, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (user !== null) await lchown(dir, user.uid, user.gid);
}

function clientOf(record: NodeRecord, password: string): Promise<Client> {
  return connect({
    host: HOST,
    port: record.port,
    user: record.superuser.user,
    database: "postgres",
    password: () => password,
    sslmode: "disable",
    application_name: "pgdba",
  });
}

/** pg_rewind reads files by these (its documentation names them). */
const REWIND = [
  "pg_ls_dir(text, boolean, boolean)",
  "pg_stat_file(text, boolean)",
  "pg_read_binary_file(text)",
  "pg_read_binary_file(text, bigint, bigint, boolean)",
];

function accountStatements(spec: Spec, passwords: Passwords): string[] {
  const create = ({ user }: Account, attributes: string): string =>
    `CREATE ROLE ${quoteIdent(user)} LOGIN ${attributes} PASSWORD '${scramVerifier(passwords.get(user)!)}'`;
  const more = Object.entries(spec.accounts ?? {}).flatMap(([purpose, account]) => [
    create(account, ""),
    ...(purpose === "rewind"
      ? REWIND.map((name) => `GRANT EXECUTE ON FUNCTION ${name} TO ${quoteIdent(account.user)}`)
      : []),
  ]);
  return [create(spec.replication, "REPLICATION"), ...more];
}
