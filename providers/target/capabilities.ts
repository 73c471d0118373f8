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
  superuser: "the role is a superuser",
  pg_monitor: "the role may read all that monitoring needs (`pg_monitor`, or a superuser)",
  pg_stat_statements: "the extension is there and counts",
  verified_backup:
    "only for `gives` of a runbook: it makes a backup and sees that it can be restored, before any step that may lose data",
} as const;

export type Capability = keyof typeof MEANINGS;

export const CAPABILITIES = Object.keys(MEANINGS) as Capability[];
