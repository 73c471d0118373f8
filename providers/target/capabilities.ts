/** What a target may be able to do, and a runbook may `need`. */
export const CAPABILITIES = [
  "postgres",
  "primary",
  "standby",
  "member",
  "patroni",
  "superuser",
  "pg_monitor",
  "pg_stat_statements",
  /** Of a runbook alone: it gives a backup that was seen to be good, before whatever may lose data. */
  "verified_backup",
] as const;

export type Capability = (typeof CAPABILITIES)[number];
