import type { Answers } from "./read.ts";

/** Names of programs as they stand in commands or call themselves when they connect. */
const TOOLS: [RegExp, string][] = [
  [/pgbackrest/i, "pgBackRest"],
  [/barman/i, "Barman"],
  [/wal-g|wal_g/i, "WAL-G"],
  [/pg_probackup/i, "pg_probackup"],
  [/pg_receivewal/i, "pg_receivewal"],
  [/pg_basebackup/i, "pg_basebackup"],
];

/** The server's knowledge of its backups: whether WAL leaves it, which clients take it, and which backups are under way. */
export function backups({ rows }: Answers) {
  const named = [
    ...(rows.get("archive_commands") ?? []).map((row) => row["value"]),
    ...(rows.get("standbys") ?? []).map((row) => row["name"]),
  ].join("\n");
  return {
    archiver: rows.get("archiver")?.[0] ?? null,
    tool: TOOLS.find(([pattern]) => pattern.test(named))?.[1] ?? null,
    running: rows.get("base_backups") ?? [],
    note: "A server does not know which base backups exist, nor whether they can be restored: ask the backup program, and try a restore.",
  };
}
