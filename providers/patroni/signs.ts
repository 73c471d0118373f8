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
