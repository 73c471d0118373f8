import { PgdbaError } from "../../engine/errors.ts";
import { clusterFile, LAB, readRegistry, unknownCluster } from "../registry/folder.ts";
import { type ClusterEntry, readClusterFile } from "../registry/read.ts";
import { membersOf, sourceOf } from "./cluster.ts";
import { environmentPassword } from "./environment.ts";
import { memberMeant, membersMeant, type NamedMember, placeIn } from "./member-name.ts";
import type { TargetOptions } from "./options.ts";
import type { Place, TargetSource } from "./source.ts";

interface Candidate extends NamedMember {
  cluster: string;
  entry: ClusterEntry;
  /** Where it is reached from here. */
  at: Place;
}

/**
 * The one member of a registered cluster that `--host` means, beside `--cluster` or by itself: by its name, by host and port, or by a host
 * that only one registered server has. Undefined when it means none: then it is any server's host.
 * @throws PgdbaError invalid_param | invalid_config | no_target
 */
export async function memberSource(options: TargetOptions): Promise<TargetSource | undefined> {
  const { flags, stateDir } = options;
  const { cluster, host } = flags;
  if (host === undefined || host === "" || host.startsWith("/")) return undefined;
  if (cluster !== undefined) {
    const entry = await readClusterFile(cluster, clusterFile(stateDir, cluster));
    if (entry === undefined) throw await unknownCluster(stateDir, cluster, options.suggest);
    const text = flags.port === undefined ? host : `${host}:${flags.port}`;
    return sourceFor(memberMeant(cluster, candidatesOf(entry), text), options);
  }
  const { entries } = await readRegistry(stateDir);
  const all = entries.filter(({ name }) => name !== LAB).flatMap(candidatesOf);
  const found = named(all, host, options) ?? placed(all, host, options);
  return found && sourceFor(found, options);
}

function candidatesOf(entry: ClusterEntry): Candidate[] {
  return membersOf(entry).map(({ name, inside, ...at }) => ({
    name,
    cluster: entry.name,
    entry,
    at,
    places: [at, ...(inside ? [inside] : [])],
  }));
}

/** By a member's name. With a port, or with a connection of the environment beside it, it may as well be a host's. */
function named(all: Candidate[], host: string, { flags }: TargetOptions): Candidate | undefined {
  const found = all.filter(
    ({ name, places }) =>
      name === host &&
      (flags.port === undefined || places.some(({ port }) => port === Number(flags.port))),
  );
  if (found.length < 2) return found[0];
  const clusters = found.map(({ cluster }) => cluster);
  throw new PgdbaError("invalid_param", `${host} is a member of ${clusters.join(" and of ")}`, {
    hint: `Say of which: --cluster ${clusters[0]} --host ${host}.`,
  });
}

/** By its place, where nobody says as whom to connect: a role of somebody's own is a connection of his own. */
function placed(
  all: Candidate[],
  host: string,
  { flags, env }: TargetOptions,
): Candidate | undefined {
  if (flags.user !== undefined || env["PGDBA_PG_USER"] || env["PGUSER"]) return undefined;
  const port = flags.port ?? placeIn(host)?.port ?? env["PGDBA_PG_PORT"] ?? env["PGPORT"];
  const alone = placeIn(host)?.host ?? host;
  const at = (one: string | number): Candidate[] =>
    membersMeant(all, `${alone.includes(":") ? `[${alone}]` : alone}:${one}`);
  const found = port ? at(port) : at(5432);
  if (found.length === 1) return found[0];
  if (port || found.length > 1 || isLoopback(alone)) return undefined;
  const onHost = membersMeant(all, alone);
  return onHost.length === 1 ? onHost[0] : undefined;
}

/** Anything may listen there. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** One server of a cluster: its role does not matter, and nothing is followed to another one. */
function sourceFor({ name, entry, at }: Candidate, options: TargetOptions): TargetSource {
  const { flags } = options;
  const {
    members: _members,
    patroni: _patroni,
    dcs: _dcs,
    pgbouncer: _,
    ...source
  } = sourceOf(entry, options);
  const spec = { ...source.spec, ...at, ...(flags.database ? { database: flags.database } : {}) };
  if (flags.user !== undefined && flags.user !== spec.user) {
    spec.user = flags.user;
    spec.password = environmentPassword(spec, options);
  }
  return {
    ...source,
    name: `${entry.name}/${name}`,
    cluster: null,
    member: name,
    spec,
    flags: [
      "--cluster",
      entry.name,
      "--host",
      name,
      ...(flags.database ? ["--database", flags.database] : []),
    ],
  };
}
