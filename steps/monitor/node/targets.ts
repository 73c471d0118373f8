/** Whom Prometheus asks: files of targets, each of a job, with the labels `cluster` and `instance`, which stay the same however often a member is made anew. */
import { PORT } from "./places.ts";

export interface Group {
  targets: string[];
  labels: { cluster: string; instance: string };
}

export interface Place {
  name: string;
  host: string;
  port: number;
}

export interface Watched {
  cluster: string;
  /** The servers, with the port of Patroni's REST API where one runs them. */
  servers: (Place & { api: number | null })[];
  etcd: Place[];
  poolers: Place[];
}

const at = (host: string, port: number): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** The targets of each job. `node` is the one that all of this runs on. */
export function targetFiles(
  { cluster, servers, etcd, poolers }: Watched,
  node: string,
): Record<string, Group[]> {
  const here = (port: number): Group => group(node, at("127.0.0.1", port));
  const group = (instance: string, target: string): Group => ({
    targets: [target],
    labels: { cluster, instance },
  });
  return {
    // The exporter takes the name of the role for that of the database where none is named.
    postgres: servers.map(({ name, host, port }) => group(name, `${at(host, port)}/postgres`)),
    patroni: servers.flatMap(({ name, host, api }) =>
      api === null ? [] : [group(name, at(host, api))],
    ),
    node: servers.map(({ name, host }) => group(name, at(host, PORT.node))),
    etcd: etcd.map(({ name, host, port }) => group(name, at(host, port))),
    // Its exporter stands beside Prometheus.
    pgbouncer: poolers.map(({ name }, index) =>
      group(name, at("127.0.0.1", PORT.pgbouncer + index)),
    ),
    pgdba: [here(PORT.pgdba)],
    prometheus: [here(PORT.prometheus), here(PORT.alertmanager)],
  };
}
