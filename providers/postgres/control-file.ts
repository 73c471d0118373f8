import type { PgSession } from "./session.ts";

/** Settings of which a standby must not have less than its primary, in the order in which pg_control holds what the primary has. */
export const HELD = [
  "max_connections",
  "max_worker_processes",
  "max_wal_senders",
  "max_prepared_transactions",
  "max_locks_per_transaction",
] as const;
/** The offset of these settings from PostgreSQL 13 to 18, and the versions of the file that were checked (ControlFileData, pg_control.h). */
const PLACE = 180;
const VERSIONS = [1300, 1700, 1800];
const VERSION_PLACE = 8;

const MAY_READ = `SELECT pg_catalog.has_function_privilege('pg_catalog.pg_read_binary_file(text, bigint, bigint)', 'EXECUTE')
  AND (pg_catalog.pg_has_role('pg_read_server_files', 'USAGE')
    OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)) AS may`;
const READ =
  "SELECT pg_catalog.encode(pg_catalog.pg_read_binary_file('global/pg_control', 0, $1), 'hex') AS control";

/**
 * The primary's values of these settings, as far as the standby has replayed its WAL; null for a role that may not read the server's
 * files, and for a file of another kind. SQL alone does not show it.
 */
export async function primarySettings(
  pg: PgSession,
  signal?: AbortSignal,
): Promise<Map<string, number> | null> {
  const { rows } = await pg.ask(MAY_READ, [], { signal });
  if (rows[0]?.["may"] !== true) return null;
  const answer = await pg.ask(READ, [PLACE + 4 * HELD.length], { signal });
  return readControl(Buffer.from(String(answer.rows[0]?.["control"]), "hex"));
}

/** Numbers are written as the server's machine does, which the version of the file tells. Pure. */
export function readControl(file: Buffer): Map<string, number> | null {
  if (file.length < PLACE + 4 * HELD.length) return null;
  for (const read of [(at: number) => file.readInt32LE(at), (at: number) => file.readInt32BE(at)]) {
    if (!VERSIONS.includes(read(VERSION_PLACE))) continue;
    return new Map(HELD.map((name, index) => [name, read(PLACE + 4 * index)]));
  }
  return null;
}
