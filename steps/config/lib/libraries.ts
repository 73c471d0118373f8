import type { PgSession } from "../../../providers/postgres/session.ts";
import { textOf, type Wanted } from "../../settings-file.ts";
import { listElements } from "./value.ts";

/** With a name here that is no library, the server does not start, or no session does. */
const PRELOADED = ["shared_preload_libraries", "session_preload_libraries"];

/** Libraries named without a folder are looked for in `dynamic_library_path`, whose default is the folder below. */
const FOLDER = `SELECT setting AS folder, current_setting('dynamic_library_path') = '$libdir' AS only
  FROM pg_catalog.pg_config() WHERE name = 'PKGLIBDIR'`;

const ABSENT = `SELECT name FROM unnest($1::text[]) AS name WHERE NOT EXISTS (
  SELECT FROM unnest('{"",.so,.dylib,.dll}'::text[]) AS suffix WHERE (pg_catalog.pg_stat_file($2 || '/' || name || suffix, true)).size IS NOT NULL)`;

/** Libraries that are to be preloaded and are not installed, by setting; nothing when this role may not look. */
export async function absentLibraries(
  pg: PgSession,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Map<string, string[]>> {
  const absent = new Map<string, string[]>();
  if (!pg.info.superuser) return absent;
  for (const setting of PRELOADED) {
    const value = wanted.get(setting) ?? null;
    const names = value === null ? [] : listElements(textOf(value));
    const plain = names.filter((name) => !/[/\\]/.test(name));
    if (plain.length === 0) continue;
    const { folder, only } = (await pg.query(FOLDER, [], { signal })).rows[0] ?? {};
    if (only !== true) continue;
    const { rows } = await pg.query(ABSENT, [plain, folder], { signal });
    if (rows.length > 0)
      absent.set(
        setting,
        rows.map((row) => String(row["name"])),
      );
  }
  return absent;
}
