import archiveCommands from "../sql/archive_commands.sql" with { type: "text" };
import archiver from "../sql/archiver.sql" with { type: "text" };
import baseBackups from "../sql/base_backups.sql" with { type: "text" };
import checkpoints16 from "../sql/checkpoints-16.sql" with { type: "text" };
import checkpoints from "../sql/checkpoints.sql" with { type: "text" };
import connections from "../sql/connections.sql" with { type: "text" };
import databaseSizes from "../sql/database_sizes.sql" with { type: "text" };
import databases from "../sql/databases.sql" with { type: "text" };
import receiver from "../sql/receiver.sql" with { type: "text" };
import relationCounts from "../sql/relation_counts.sql" with { type: "text" };
import relations from "../sql/relations.sql" with { type: "text" };
import roleSettings from "../sql/role_settings.sql" with { type: "text" };
import settings from "../sql/settings.sql" with { type: "text" };
import slots from "../sql/slots.sql" with { type: "text" };
import standbys from "../sql/standbys.sql" with { type: "text" };
import statements from "../sql/statements.sql" with { type: "text" };
import statementsInfo from "../sql/statements_info.sql" with { type: "text" };
import subscriptions from "../sql/subscriptions.sql" with { type: "text" };
import tablespaces from "../sql/tablespaces.sql" with { type: "text" };
import walFiles from "../sql/wal_files.sql" with { type: "text" };
import walStatistics from "../sql/wal_statistics.sql" with { type: "text" };
import wal from "../sql/wal.sql" with { type: "text" };

/** One question to the server. */
export interface Section {
  name: string;
  sql: string;
  /** First and last major version it applies to. */
  from?: number;
  to?: number;
  role?: "standby";
  /** The extension that the section needs; its schema is `:"extension"`. Without the extension the section is left out. */
  extension?: string;
  /** The same query without the texts, for a database in whose encoding one of them is not valid. */
  without?: string;
  /** The part of it that a user who is no member of pg_monitor does not see. */
  hidden?: string;
  /** The column of the first row that says how many of them; without it nobody knows. */
  counted?: string;
}

const STATEMENTS = { extension: "pg_stat_statements" };

/** In the order of the report. */
export const SECTIONS: readonly Section[] = [
  {
    name: "settings",
    sql: settings,
    hidden: "settings for superusers, and the files they stand in",
  },
  { name: "role_settings", sql: roleSettings },
  {
    name: "statements",
    sql: statements,
    without: statements.replace(/pg_stat_statements$/m, "pg_stat_statements(false)"),
    ...STATEMENTS,
    hidden: "the statements of other users",
    counted: "hidden",
  },
  { name: "statements_info", sql: statementsInfo, ...STATEMENTS, from: 14 },
  { name: "databases", sql: databases },
  { name: "database_sizes", sql: databaseSizes, hidden: "databases it may not connect to" },
  { name: "tablespaces", sql: tablespaces, hidden: "the size of tablespaces it may not use" },
  { name: "relations", sql: relations },
  { name: "relation_counts", sql: relationCounts },
  {
    name: "connections",
    sql: connections,
    hidden: "what sessions of other users do",
    counted: "hidden",
  },
  { name: "standbys", sql: standbys, hidden: "positions and lag of standbys" },
  { name: "receiver", sql: receiver, role: "standby", hidden: "where the WAL comes from" },
  { name: "slots", sql: slots },
  { name: "subscriptions", sql: subscriptions },
  { name: "wal", sql: wal },
  { name: "wal_files", sql: walFiles },
  { name: "wal_statistics", sql: walStatistics, from: 14 },
  { name: "checkpoints", sql: checkpoints, from: 17 },
  { name: "checkpoints", sql: checkpoints16, to: 16 },
  { name: "archiver", sql: archiver },
  { name: "archive_commands", sql: archiveCommands, hidden: "the archive and restore commands" },
  { name: "base_backups", sql: baseBackups, hidden: "base backups under way" },
];
