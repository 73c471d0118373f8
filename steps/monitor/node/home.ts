/** The state folder of the pgdba that runs on a node which monitors: an entry of the cluster as it is reached from there. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { ClusterFile } from "../../../providers/registry/schema.ts";
import { repositoryThere } from "../../backup/schedule/node-home.ts";
import { MONITOR_ACCOUNT } from "../account.ts";
import { AUTHORITY } from "./places.ts";
import type { Place, Watched } from "./targets.ts";

/** By the names of its nodes, as the role of monitoring, and without power over them. @throws PgdbaError step_refused */
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
  const secret = (name: string) => ({ file: `secrets/${cluster}/${name}` });
  const entry = {
    ownership: "connected",
    labels: data.labels,
    system_identifier: data.system_identifier,
    cluster_id: data.cluster_id,
    version: data.version,
    secrets: {
      [MONITOR_ACCOUNT]: secret(MONITOR_ACCOUNT),
      ...(repository?.secret === undefined ? {} : { repository: { file: "keys/repository" } }),
    },
    postgres: {
      host: first.address.host,
      port: first.address.port,
      user: account.user,
      password_secret: MONITOR_ACCOUNT,
      ...(tls === undefined ? {} : { sslmode: "verify-full", sslrootcert: AUTHORITY }),
    },
    patroni: {
      endpoints,
      scope: patroni.scope,
      namespace: patroni.namespace,
      cafile: tls === undefined ? undefined : AUTHORITY,
    },
    nodes: servers.map(({ name, roles, address, endpoints: all }) => ({
      name,
      roles,
      address,
      reach: address,
      ...(all?.patroni === undefined
        ? {}
        : {
            endpoints: {
              patroni: { address: all.patroni.address, reach: all.patroni.address },
            },
          }),
    })),
    repository: repository === undefined ? undefined : repositoryThere(repository),
  };
  return JSON.parse(JSON.stringify(entry)) as JsonObject;
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
  };
}
