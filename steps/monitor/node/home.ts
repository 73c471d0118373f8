/** The state folder of the pgdba that runs on a node which monitors: an entry of the cluster as it is reached from there. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { ClusterFile } from "../../../providers/registry/schema.ts";
import { repositoryThere } from "../../backup/schedule/node-home.ts";
import { MONITOR_ACCOUNT } from "../account.ts";
import { AUTHORITY } from "./places.ts";
import type { Place, Watched } from "./targets.ts";

export type Node = NonNullable<ClusterFile["nodes"]>[number];
type At = NonNullable<Node["address"]>;

/** How a cluster is reached from a node that monitors it, and by whom. */
interface Reached {
  user: string;
  postgres: { host: string; port: number | string; sslmode?: string; sslrootcert?: string };
  patroni: object | undefined;
  nodes: object[] | undefined;
  /** Undefined: none that is seen from there. */
  repository: ClusterFile["repository"];
}

/** An entry as the role of monitoring, and without power over anything. What is not known is left out. */
export function entryFrom(
  cluster: string,
  data: ClusterFile,
  { user, postgres: { host, port, ...tls }, patroni, nodes, repository }: Reached,
): JsonObject {
  const entry = {
    ownership: "connected",
    labels: data.labels,
    system_identifier: data.system_identifier,
    cluster_id: data.cluster_id,
    version: data.version,
    secrets: {
      [MONITOR_ACCOUNT]: { file: `secrets/${cluster}/${MONITOR_ACCOUNT}` },
      ...(repository?.secret === undefined ? {} : { repository: { file: "keys/repository" } }),
    },
    postgres: { host, port, user, password_secret: MONITOR_ACCOUNT, ...tls },
    patroni,
    nodes,
    repository: repository && repositoryThere(repository),
  };
  return JSON.parse(JSON.stringify(entry)) as JsonObject;
}

/** A node where it, and its Patroni, are reached from there. */
export function nodeAt({ name, roles }: Node, at: At | undefined, patroni: At | undefined): object {
  return {
    name,
    roles,
    address: at,
    reach: at,
    endpoints: patroni && { patroni: { address: patroni, reach: patroni } },
  };
}

/** By the names of its nodes. @throws PgdbaError step_refused */
export function entryThere(cluster: string, data: ClusterFile): JsonObject {
  const { patroni, tls, repository, accounts } = data;
  const servers = nodesWith(data, "postgres");
  const [first] = servers;
  const account = accounts?.[MONITOR_ACCOUNT];
  if (!first?.address || !patroni || !account)
    throw new PgdbaError(
      "step_refused",
      `The entry of ${cluster} does not say how its servers reach one another, or by which account they are watched`,
      { hint: "`pgdba cluster show` shows it; `nodes` and `patroni` are needed." },
    );
  const scheme = tls === undefined ? "http" : "https";
  const endpoints = servers.flatMap(({ endpoints: all }) => {
    const at = all?.patroni?.address;
    return at ? [`${scheme}://${at.host}:${at.port}`] : [];
  });
  return entryFrom(cluster, data, {
    user: account.user,
    postgres: {
      host: first.address.host,
      port: first.address.port,
      ...(tls === undefined ? {} : { sslmode: "verify-full", sslrootcert: AUTHORITY }),
    },
    patroni: {
      endpoints,
      scope: patroni.scope,
      namespace: patroni.namespace,
      cafile: tls === undefined ? undefined : AUTHORITY,
    },
    nodes: servers.map((node) => nodeAt(node, node.address, node.endpoints?.patroni?.address)),
    repository,
  });
}

function nodesWith({ nodes = [] }: ClusterFile, role: "postgres" | "etcd" | "pgbouncer") {
  return nodes.filter(({ roles }) => roles.includes(role));
}

/** Who is there to be watched, by the addresses of the cluster's own network. */
export function watchedIn(cluster: string, data: ClusterFile): Watched {
  const places = (role: "etcd" | "pgbouncer"): Place[] =>
    nodesWith(data, role).flatMap(({ name, endpoints }) => {
      const at = endpoints?.[role]?.address;
      return at ? [{ name, host: at.host, port: Number(at.port) }] : [];
    });
  return {
    cluster,
    servers: nodesWith(data, "postgres").flatMap(({ name, address, endpoints }) =>
      address
        ? [
            {
              name,
              host: address.host,
              port: Number(address.port),
              api: endpoints?.patroni ? Number(endpoints.patroni.address.port) : null,
            },
          ]
        : [],
    ),
    etcd: places("etcd"),
    poolers: places("pgbouncer"),
    hasDisks: true,
  };
}
