/** Patroni gives these on the command line of every server that it starts (patroni/postgresql/config.py, CMDLINE_OPTIONS). */
const PATRONI_SIGNS: readonly string[] = [
  "cluster_name",
  "hot_standby",
  "max_connections",
  "wal_level",
  "wal_log_hints",
];

/** True when Patroni runs the server. `sourceOf` gives `pg_settings.source` of a setting. */
export function isRunByPatroni(sourceOf: (setting: string) => string | undefined): boolean {
  return PATRONI_SIGNS.every((name) => sourceOf(name) === "command line");
}

/** How the names of its sessions begin, which whoever asks may see: `Patroni`, `Patroni heartbeat`. Runbooks, which share no SQL, write it themselves; a test compares them. */
export const PATRONI_SESSION = "Patroni";

/** SQL: whether a row of pg_stat_activity is a session of Patroni. `of` is the row's name in the statement. */
export const isPatroniSession = (of: string): string =>
  `${of}.application_name ^@ '${PATRONI_SESSION}'`;
