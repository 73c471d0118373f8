import { HELD } from "../postgres/control-file.ts";
import type { PgSession } from "../postgres/session.ts";
import type { BackupRecord } from "./record.ts";

export interface ServerFacts {
  version: number;
  standby: boolean;
  server: BackupRecord["server"];
  databases: BackupRecord["databases"];
}

/** Whoever runs a server on the backup must have as much of the first ones, and the libraries of the last. */
const SETTINGS = [...HELD, "track_commit_timestamp", "wal_level", "shared_preload_libraries"];

const SERVER = `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
  current_setting('block_size')::int AS block_size, pg_size_bytes(current_setting('wal_segment_size'))::int AS segment_bytes,
  current_setting('data_checksums') = 'on' AS checksums, pg_is_in_recovery() AS standby,
  (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name = ANY ($1)) AS settings`;

const DATABASES = `SELECT datname AS name, datallowconn AND has_database_privilege(oid, 'CONNECT') AS open,
  CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_database_size(oid) END AS bytes
  FROM pg_database WHERE NOT datistemplate ORDER BY datname`;

const TABLES = `SELECT count(*)::int AS tables FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`;

/** What a record keeps of the server, asked when the backup begins. */
export async function factsOf(
  server: (database?: string) => Promise<PgSession>,
  signal: AbortSignal,
): Promise<ServerFacts> {
  const pg = await server();
  const [row] = (await pg.ask(SERVER, [SETTINGS], { signal })).rows;
  const { version, major, standby, block_size, segment_bytes, checksums, settings } = row as {
    version: string;
    major: number;
    standby: boolean;
    block_size: number;
    segment_bytes: number;
    checksums: boolean;
    settings: Record<string, string>;
  };
  const databases: ServerFacts["databases"] = [];
  for (const { name, open, bytes } of (await pg.ask(DATABASES, [], { signal })).rows)
    databases.push({
      name: String(name),
      bytes: bytes === null ? null : Number(bytes),
      tables: open === true ? await tablesOf(server, String(name), signal) : null,
    });
  return {
    version: major,
    standby,
    server: { version, block_size, segment_bytes, checksums, settings },
    databases,
  };
}

/** Null where this database lets nobody in. */
async function tablesOf(
  server: (database?: string) => Promise<PgSession>,
  database: string,
  signal: AbortSignal,
): Promise<number | null> {
  let pg: PgSession | undefined;
  try {
    pg = await server(database);
    return Number((await pg.ask(TABLES, [], { signal })).rows[0]?.["tables"]);
  } catch (error) {
    if (signal.aborted) throw error;
    return null;
  } finally {
    await pg?.close();
  }
}
