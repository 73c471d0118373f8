/** Whom Prometheus asks: files of targets, each of a job, with the labels `cluster` and `instance`, which stay the same however often a member is made anew. */
import { PORT, type Ports, TARGETS } from "./places.ts";

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
  /** Whether an exporter on the servers' own machines tells of their disks. */
  hasDisks: boolean;
}

const at = (host: string, port: number): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** Of the Grafana beside the node, which comes after all else: this file is not among those of `targetFiles`. */
export const GRAFANA_TARGETS = `${TARGETS}/grafana.json`;

/** Null: there is none, and nobody is asked. */
export const grafanaTargets = (
  cluster: string,
  node: string,
  from: { host: string; port: number } | null,
): Group[] =>
  from === null
    ? []
    : [{ targets: [at(from.host, from.port)], labels: { cluster, instance: node } }];

/** The targets of each job. `node` is the one that all of this runs on. */
export function targetFiles(
  { cluster, servers, etcd, poolers, hasDisks }: Watched,
  node: string,
  ports: Ports = PORT,
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
    node: hasDisks ? servers.map(({ name, host }) => group(name, at(host, ports.node))) : [],
    etcd: etcd.map(({ name, host, port }) => group(name, at(host, port))),
    // Its exporter stands beside Prometheus.
    pgbouncer: poolers.map(({ name }, index) =>
      group(name, at("127.0.0.1", ports.pgbouncer + index)),
    ),
    pgdba: [here(ports.pgdba)],
    // Of a job each: two targets with the same labels would be one series, in which the one that answers hides the one that does not.
    prometheus: [here(ports.prometheus)],
    alertmanager: [here(ports.alertmanager)],
  };
}
