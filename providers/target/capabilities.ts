/** What a target may be able to do, and a runbook may `need`. */
export const CAPABILITIES = [
  "postgres",
  "primary",
  "standby",
  "patroni",
  "superuser",
  "pg_monitor",
  "pg_stat_statements",
] as const;

export type Capability = (typeof CAPABILITIES)[number];
