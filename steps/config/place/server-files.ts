import { PgdbaError } from "../../../engine/errors.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/** The role of 11 and later is asked for by name, since 10 does not have it. */
const MAY_LOOK = `SELECT has_function_privilege('pg_catalog.pg_stat_file(text, boolean)', 'EXECUTE')
    AND has_function_privilege('pg_catalog.pg_config()', 'EXECUTE')
    AND EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pg_read_server_files' AND pg_has_role(oid, 'USAGE')) AS may`;

const IS_FOLDER = "SELECT (pg_catalog.pg_stat_file($1, true)).isdir AS folder";

/** The GRANTs that let a role ask for files of the server. */
export const GRANTS_TO_LOOK =
  "a superuser may, or who has pg_read_server_files, and EXECUTE on pg_stat_file(text, boolean) and pg_config()";

/** True when the session may ask which files there are on the server. */
export async function mayLook(pg: PgSession, signal: AbortSignal): Promise<boolean> {
  if (pg.info.superuser) return true;
  return (await pg.ask(MAY_LOOK, [], { signal })).rows[0]?.["may"] === true;
}

/**
 * The ones among `paths` that the server finds, as files or as folders; relative ones are below its data directory. A path that it may not
 * look at is not found: it could not use it either.
 */
export async function foundOnServer(
  pg: PgSession,
  paths: readonly string[],
  kind: "file" | "folder",
  signal: AbortSignal,
): Promise<Set<string>> {
  const found = new Set<string>();
  for (const path of paths) {
    try {
      const { rows } = await pg.ask(IS_FOLDER, [path], { signal });
      if (rows[0]?.["folder"] === (kind === "folder")) found.add(path);
    } catch (error) {
      if (error instanceof PgdbaError && error.code === "query_failed") continue;
      if (error instanceof PgdbaError && error.code === "insufficient_privilege") continue;
      throw error;
    }
  }
  return found;
}
