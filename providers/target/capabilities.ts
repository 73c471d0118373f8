/** The abilities that a target may have, and a runbook may `need`. */
export const CAPABILITIES = [
  "postgres",
  "primary",
  "standby",
  "member",
  "patroni",
  "nodes",
  "superuser",
  "pg_monitor",
  "pg_stat_statements",
  /** For runbooks only: it gives a backup that was seen to be good, before any step that may lose data. */
  "verified_backup",
] as const;

export type Capability = (typeof CAPABILITIES)[number];
