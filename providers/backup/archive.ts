/** How PostgreSQL is told to archive into the repository. */

/**
 * The server runs it in its data directory, by which the program finds its settings: the same text holds for all members, and in a copy of the
 * directory it fails. Patroni runs it as well, before pg_rewind takes away what an old primary has not archived: in whatever directory, with the
 * whole path, and in version 3.0 by no shell, so that it is one program with its arguments. A shell that can't start the program ends with more than
 * 125, which would make the archiver start anew.
 */
export const ARCHIVE_COMMAND = `sh -c 'cd "$(dirname "$1")/.." && exec "$(pwd -P).pgdba/pgdba" wal push "$1"' pgdba %p || exit 1`;

/** In each version of that command. Two runbooks, which share no SQL, write it themselves; a test compares them. */
export const OURS = '.pgdba/pgdba" wal push ';

/** Commands that archive nothing. */
const NONE: ReadonlySet<string> = new Set([
  "",
  "(disabled)",
  "/bin/true",
  "true",
  ":",
  "cd .",
  "exit 0",
]);

export type Archiver = "none" | "pgdba" | "foreign";

export interface ArchiveSettings {
  archive_mode: string;
  archive_command: string;
  archive_library: string;
  archive_timeout: number;
  wal_level: string;
}

export function archiverOf({ archive_command, archive_library }: ArchiveSettings): Archiver {
  if (archive_library.trim() !== "") return "foreign";
  const command = archive_command.trim();
  if (command.includes(OURS)) return "pgdba";
  return NONE.has(command) ? "none" : "foreign";
}

/** The settings that make a server archive; `summarize_wal` is for incremental backups. */
export function wantedSettings(
  now: ArchiveSettings,
  version: number,
  timeoutSeconds: number,
): Record<string, string> {
  return {
    archive_command: ARCHIVE_COMMAND,
    archive_timeout: `${timeoutSeconds}s`,
    // Also where it runs with it already: the file may say otherwise for the next start.
    archive_mode: now.archive_mode === "always" ? "always" : "on",
    ...(now.wal_level === "minimal" ? { wal_level: "replica" } : {}),
    ...(version >= 17 ? { summarize_wal: "on" } : {}),
  };
}

/** Those only a restart changes. */
export function awaitsRestart({ archive_mode, wal_level }: ArchiveSettings): boolean {
  return archive_mode === "off" || wal_level === "minimal";
}

/** While archive_mode is off, a server shows no command; what would be in force then is told by its reset value. */
export const READ_SETTINGS = `SELECT current_setting('archive_mode') AS archive_mode, 
  (SELECT reset_val FROM pg_settings WHERE name = 'archive_command') AS archive_command,
  coalesce(current_setting('archive_library', true), '') AS archive_library,
  (SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout') AS archive_timeout,
  current_setting('wal_level') AS wal_level, current_setting('data_directory') AS data,
  pg_is_in_recovery() AS standby, current_setting('server_version_num')::int / 10000 AS version,
  (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier`;
