import { toPgdbaError, PgdbaError } from "../../engine/errors.ts";
import type { JsonObject } from "../../engine/types.ts";
import { clusterFile, LAB } from "../registry/folder.ts";
import { type ClusterEntry, type PasswordNames, readClusterFile } from "../registry/read.ts";
import { readPassword } from "../registry/secrets.ts";
import { sourceOfRepository } from "../registry/repository.ts";
import { assertPart } from "./environment.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import type { TargetOptions } from "./options.ts";
import type { Member, TargetSource } from "./source.ts";

/**
 * The cluster that the registry holds under `name`, in `<stateDir>/clusters/<name>.yaml`. With `starts` the lab, which is built in, is made
 * and started if need be.
 * Undefined for a name that is free.
 * @throws PgdbaError invalid_param | invalid_config
 */
export async function clusterSource(
  name: string,
  options: TargetOptions,
  starts = false,
): Promise<TargetSource | undefined> {
  assertPart("--cluster", name);
  const file = clusterFile(options.stateDir, name);
  if (name === LAB && starts) return labSource(file, options);
  const entry = await readClusterFile(name, file);
  return entry && sourceOf(entry, options);
}

/** Passwords that are not there are missed by whoever connects: see `prepare`. */
export function sourceOf(entry: ClusterEntry, options: TargetOptions): TargetSource {
  const { name, labels, ownership, identity, patroni, dcs, pgbouncer, partial } = entry;
  const spec = { ...(entry.spec ?? NO_SERVER) };
  const passwords = passwordsOf(entry, options);
  const { postgres: password } = passwords;
  if (password !== undefined) spec.password = () => password;
  const source: TargetSource = {
    name,
    cluster: name,
    labels,
    ownership,
    expectedIdentity: identity,
    spec,
    partialBy: partial ?? undefined,
    members: membersOf(entry),
    ...nodesOf(entry, options),
    async prepare({ server = true } = {}) {
      if (server && entry.spec === null) throw unfinished(name, partial);
      if (passwords.missing !== undefined) throw passwords.missing;
    },
  };
  return {
    ...source,
    ...(patroni && { patroni: withPassword(patroni, passwords.patroni) }),
    ...replicationOf(entry, options),
    ...repositoryOf(entry),
    ...monitoringOf(entry),
    ...(dcs && { dcs: withPassword(dcs, passwords.dcs) }),
    ...(pgbouncer && { pgbouncer: withPassword(pgbouncer, passwords.pgbouncer) }),
  };
}

function withPassword<T extends { passwordNames: PasswordNames }>(
  { passwordNames: _names, ...rest }: T,
  password: string | undefined,
) {
  return { ...rest, password };
}

/** The way to its nodes; secrets are read when a provider asks for them. */
function nodesOf(
  { name, file, data, secrets }: ClusterEntry,
  options: TargetOptions,
): Pick<TargetSource, "nodes"> {
  const { provider, place } = data;
  if (provider === undefined) return {};
  const secret = async (wanted: string): Promise<string> => {
    const named = (all: ClusterEntry["secrets"] = []) => all.find((one) => one.name === wanted);
    // A step of this very run may have added it.
    const found = named(secrets) ?? named((await readClusterFile(name, file))?.secrets);
    const value = found && readPassword(found.place, file, options);
    if (value !== undefined) return value;
    throw new PgdbaError("missing_secret", `${name} has no secret ${wanted}`, {
      hint: `Say in ${file}, under \`secrets\`, where its value is found.`,
    });
  };
  return {
    async nodes() {
      const { openNodes } = await import("../nodes/open.ts");
      const { stateDir, env } = options;
      return openNodes(provider, {
        cluster: name,
        stateDir,
        env,
        place: (place ?? {}) as JsonObject,
        secret,
        async reached(node, at) {
          const { recordAddress } = await import("../registry/address.ts");
          await recordAddress(stateDir, name, node, at);
        },
      });
    },
  };
}

function replicationOf(
  { data, file, secrets }: ClusterEntry,
  options: TargetOptions,
): Pick<TargetSource, "replication"> {
  const account = data.accounts?.["replication"];
  const place = secrets.find(({ name }) => name === account?.password)?.place;
  if (account === undefined || place === undefined) return {};
  return {
    replication: { user: account.user, password: () => readPassword(place, file, options) },
  };
}

function repositoryOf(entry: ClusterEntry): Pick<TargetSource, "repository"> {
  const repository = sourceOfRepository(entry);
  return repository === undefined ? {} : { repository };
}

function monitoringOf({ data }: ClusterEntry): Pick<TargetSource, "monitoring"> {
  const { prometheus, alertmanager } = data.monitoring ?? {};
  return prometheus === undefined && alertmanager === undefined
    ? {}
    : { monitoring: { prometheus, alertmanager } };
}

/** The lab: it is made and started when a run first connects to it. Another cluster that has its name is the one that is meant. */
async function labSource(file: string, options: TargetOptions): Promise<TargetSource> {
  const entry = await readClusterFile(LAB, file);
  const { findLab, isOfLab } = await import("../nodes/embedded/lab/found.ts");
  if (entry !== undefined && !isOfLab(entry)) return sourceOf(entry, options);
  const whole = (await findLab(options))?.entry;
  const source = sourceOf(whole ?? unmade(file, entry?.labels), options);
  const start = async (): Promise<void> => {
    const { labUp } = await import("../nodes/embedded/lab/lab.ts");
    const { stateDir, onSecret, log = () => {} } = options;
    const { entry: now } = await labUp({ stateDir, onSecret, log });
    // It may only now have been made, or have come up on another port.
    const { spec, members = [] } = sourceOf(now, options);
    Object.assign(source.spec, spec);
    source.members?.splice(0, Infinity, ...members);
  };
  let started: Promise<void> | undefined;
  return {
    ...source,
    // Once: one that somebody stops in the middle of a run stays so.
    prepare: () =>
      (started ??= start().catch((error: unknown) => {
        started = undefined;
        throw error;
      })),
  };
}

/** The entry that the lab has before it is made. */
function unmade(file: string, labels = [LAB]): ClusterEntry {
  return {
    name: LAB,
    file,
    data: { ownership: "managed", provider: "embedded" },
    ownership: "managed",
    labels,
    identity: null,
    partial: null,
    spec: null,
    password: {},
    patroni: null,
    dcs: null,
    pgbouncer: null,
    secrets: [],
  };
}

/** The servers that the registry names, where we reach them. */
export function membersOf({ data }: ClusterEntry): Member[] {
  return (data.nodes ?? []).flatMap(({ name, roles, address, reach }) => {
    const at = reach ?? address;
    return at === undefined || !roles.includes("postgres")
      ? []
      : [
          {
            name,
            host: at.host,
            port: Number(at.port ?? 5432),
            ...(address === undefined
              ? {}
              : { inside: { host: address.host, port: Number(address.port) } }),
          },
        ];
  });
}

function unfinished(name: string, partial: string | null): PgdbaError {
  return new PgdbaError("no_target", `${name} is not finished, and no server is known of it`, {
    hint: `Run ${partial} makes it or left it half made: look at it (pgdba runs ${partial}), and resume it.`,
  });
}

/** The place of a cluster that is not finished. */
const NO_SERVER: ConnectionSpec = {
  host: "",
  port: 5432,
  user: "",
  database: "postgres",
  sslmode: "prefer",
  application_name: "pgdba",
};

interface Passwords {
  postgres?: string | undefined;
  patroni?: string | undefined;
  dcs?: string | undefined;
  pgbouncer?: string | undefined;
  /** Tells of all that is not there. */
  missing?: PgdbaError;
}

/** The passwords that an entry names. */
function passwordsOf(entry: ClusterEntry, options: TargetOptions): Passwords {
  const { password, patroni, dcs, pgbouncer, file } = entry;
  const missing: string[] = [];
  let first: PgdbaError | undefined;
  const read = (names: PasswordNames): string | undefined => {
    try {
      return readPassword(names, file, options);
    } catch (thrown) {
      const error = toPgdbaError(thrown);
      first ??= error;
      missing.push(...namedIn(error));
      return undefined;
    }
  };
  const found = {
    postgres: read(password),
    patroni: patroni ? read(patroni.passwordNames) : undefined,
    dcs: dcs ? read(dcs.passwordNames) : undefined,
    pgbouncer: pgbouncer ? read(pgbouncer.passwordNames) : undefined,
  };
  if (first === undefined) return found;
  if (missing.length === 0) return { missing: first };
  return {
    missing: new PgdbaError("missing_secret", `Not set: ${missing.join(", ")}`, {
      hint: `${file} takes passwords from there; set them in the environment.`,
      data: { missing },
    }),
  };
}

function namedIn({ data }: PgdbaError): string[] {
  const { missing } = (data ?? {}) as { missing?: string[] };
  return missing ?? [];
}
