import { shellQuoted } from "../../engine/shared/shell-words.ts";

/** The abilities that a target may have, and a runbook may `need`, each with its meaning. */
export const MEANINGS = {
  postgres: "the server that is named answers, of a cluster its primary",
  primary: "this server takes writes",
  standby: "this server is a standby",
  member: "each member of the cluster can be connected to by its name",
  patroni: "Patroni runs the cluster, and its entry names the REST API",
  dcs: "the cluster's entry names the store that Patroni keeps its state in, and an account there",
  pgbouncer: "the cluster's entry names the PgBouncers in front of it",
  nodes:
    "the cluster's entry names the provider of its nodes, so that they can be looked at, started and stopped, also while it is down",
  repository:
    "the cluster's entry names the repository of its backups and its WAL (`backup setup` makes one)",
  monitoring:
    "the cluster's entry names the Prometheus or the Alertmanager that watches it (`monitor setup` makes both)",
  superuser: "the role is a superuser",
  pg_monitor: "the role may read all that monitoring needs (`pg_monitor`, or a superuser)",
  pg_stat_statements: "the extension is there and counts",
  verified_backup:
    "only for `gives` of a runbook: it makes a backup and sees that it can be restored, before any step that may lose data",
} as const;

export type Capability = keyof typeof MEANINGS;

export const CAPABILITIES = Object.keys(MEANINGS) as Capability[];

const CONNECT =
  "`pgdba cluster connect --name NAME --patroni-url http://HOST:8008` registers a cluster that Patroni runs; then name it with --cluster NAME";

/** A server that nobody runs but its host's own service. */
function byHand(dataDirectory: string | null | undefined): string {
  const where = shellQuoted(dataDirectory ?? "DATA_DIRECTORY");
  return `Where no Patroni runs it, pgdba does not start, stop or restart it: on its host, as the owner of its data, \`pg_ctl restart -m fast -D ${where}\` does, or its service (systemctl restart)`;
}

/** What to do about a word that a target does not have; `isCluster` when it stands in the registry. */
export function waysTo(
  isCluster: boolean,
  dataDirectory?: string | null,
): Partial<Record<Capability, string>> {
  return {
    patroni: isCluster
      ? `Name the REST API of the Patroni that runs it in its entry, under \`patroni\`. ${byHand(dataDirectory)}`
      : `${byHand(dataDirectory)}. Where Patroni runs it: ${CONNECT}`,
    member: isCluster
      ? "Name its servers in its entry, under `nodes`, or Patroni's REST API, under `patroni`"
      : CONNECT,
    dcs: isCluster
      ? "Name its etcd in its entry, under `dcs` (`cluster connect --etcd URL` does)"
      : CONNECT,
    pgbouncer: isCluster
      ? "Name its PgBouncers in its entry, under `pgbouncer` (`cluster connect --pgbouncer HOST:PORT` does)"
      : CONNECT,
    nodes: isCluster
      ? "Its entry names no `provider` that reaches its hosts; that of a cluster which pgdba made does"
      : "Name a cluster whose hosts are reached with --cluster NAME: one that `pgdba cluster init --name NAME` made does, `pgdba cluster list` shows all",
    repository: isCluster
      ? "`pgdba backup setup` makes a repository, and archives WAL into it"
      : "Name a cluster with --cluster NAME; `pgdba backup setup` makes a repository for it",
    monitoring: isCluster
      ? "Nobody watches it: `pgdba monitor setup` makes a node that does; Prometheus and Alertmanager of your own are named in its entry, under `monitoring`"
      : "Name a cluster that is watched with --cluster NAME; `pgdba monitor setup` has one watched",
    superuser: "Connect as a superuser",
    pg_monitor: "Connect as a role that is a member of pg_monitor (GRANT pg_monitor TO it)",
    pg_stat_statements:
      "Add pg_stat_statements to shared_preload_libraries, restart, and CREATE EXTENSION pg_stat_statements",
    primary: "Name the primary, or its cluster with --cluster",
    standby: "Name a standby",
  };
}
