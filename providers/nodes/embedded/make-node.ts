import { lchown, mkdir, rm } from "node:fs/promises";
import type { Client } from "pg";
import { PgdbaError } from "../../../engine/errors.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import { connect } from "../../postgres/connect.ts";
import { fromPostgres } from "../../postgres/errors.ts";
import { scramVerifier } from "../../postgres/scram.ts";
import { quoteIdent } from "../../planner/twin/names.ts";
import type { Account, By, Opening, Spec } from "../contract.ts";
import { accountsOf, passwordsFor } from "../passwords.ts";
import { cloneInto } from "./clone.ts";
import { isStandby } from "./decide.ts";
import {
  type Home,
  HOST,
  type NodeRecord,
  nodeOf,
  type Place,
  placeOf,
  readRecords,
  writeRecord,
} from "./home.ts";
import { binariesOf, endNode, startNode } from "./life.ts";
import { writeNodeConf } from "./node-conf.ts";
import { choosePort } from "./port.ts";
import { NODE_VARIABLE } from "./processes.ts";
import { configure, initdb } from "./server.ts";

/** The cluster that the work is for, and its caller. */
export interface Work {
  home: Home;
  by: By;
  secret: Opening["secret"];
}

type Passwords = ReadonlyMap<string, string>;

/** What the nodes of a cluster are made of. */
export interface Making extends Work {
  base: string;
  spec: Spec;
  passwords: Passwords;
}

/** By account. @throws PgdbaError missing_secret | invalid_param */
export async function passwordsOf({ secret }: Work, spec: Spec): Promise<Passwords> {
  const accounts = accountsOf(spec);
  const values = await passwordsFor(secret, accounts);
  return new Map(accounts.map(({ user }, at) => [user, values[at]!]));
}

export async function makePrimary(making: Making, node: string): Promise<void> {
  const { home, by, base, spec, passwords } = making;
  const { record: prepared, at } = await prepare(making, node);
  await initdb({
    binaries: await binariesOf(home, prepared),
    user: home.user,
    dataDir: at.data,
    superuser: spec.superuser.user,
    password: passwords.get(spec.superuser.user)!,
    args: [
      "--data-checksums",
      ...(prepared.wal_segment_size === undefined
        ? []
        : [`--wal-segsize=${prepared.wal_segment_size}`]),
    ],
    // With this a program whose engine was killed is found and ended before the next begins.
    env: { [NODE_VARIABLE]: at.dir },
    signal: by.signal,
  });
  await configure(at.data, { ...DEFAULTS, ...spec.settings }, ["include '../node.conf'"]);
  const record = await startNode({ home, record: prepared, at, signal: by.signal });
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

/** Settings that make standbys and rewinds possible (those need WAL from before the fork, which no slot keeps); a spec may say otherwise. */
const DEFAULTS = {
  wal_level: "replica",
  hot_standby: "on",
  wal_log_hints: "on",
  wal_keep_size: "128MB",
};

export async function makeStandby(making: Making, node: string, lead: string): Promise<void> {
  const { home, by, base, spec, passwords } = making;
  const from = await nodeOf(home, lead);
  if (await isStandby(from.at.data)) {
    throw new PgdbaError("step_refused", `${lead} is a primary no more`, {
      hint: "Its role was moved meanwhile; run again.",
      retryable: true,
    });
  }
  const { record: prepared, at } = await prepare(making, node);
  const client = await clientOf(from.record, passwords.get(spec.superuser.user)!);
  try {
    await cloneInto(home, { client, ...from }, { at, record: prepared }, by.signal);
  } finally {
    await client.end().catch(() => {});
  }
  const record = await startNode({ home, record: prepared, at, signal: by.signal });
  const { wal_segment_size } = from.record;
  await writeRecord(home, base, { ...record, wal_segment_size, made: true });
}

/** The node's folder with all but the data. What an attempt that was cut off has left there is removed. */
async function prepare(
  { home, by, base, spec, passwords }: Making,
  node: string,
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
    port_named: place["port"] !== undefined,
    wal_segment_size: spec.place?.["wal_segment_size"] as number | undefined,
    superuser: spec.superuser,
    replication: spec.replication,
  };
  await makeFolder(home, at.dir);
  await writeRecord(home, base, record);
  await rm(at.data, { recursive: true, force: true });
  if (before?.made !== true) await rm(at.log, { force: true });
  await makeFolder(home, at.socket);
  const owner = home.user ?? undefined;
  const lines = [...passwords].map(([user, value]) => `*:*:*:${escaped(user)}:${escaped(value)}\n`);
  await writeWhole(at.passfile, lines.join(""), { owner });
  await writeNodeConf(home, at, record);
  return { record, at };
}

/** As libpq reads a passfile. */
const escaped = (value: string): string => value.replaceAll(/[:\\]/g, "\\$&");

async function makeFolder({ user }: Home, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if (user !== null) await lchown(dir, user.uid, user.gid);
}

export function clientOf(record: NodeRecord, password: string): Promise<Client> {
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
