import type { PgSession } from "./session.ts";
import { sameValue, type ValueRules } from "./setting-value.ts";

/** A row of `pg_settings`. */
export interface Setting extends ValueRules {
  /** The value of this session; for settings that only a restart changes, the value that the server runs with. */
  setting: string;
  /** The value that a new session of this role gets in this database. */
  reset_val: string | null;
  /** PostgreSQL's own default. */
  boot_val: string | null;
  category: string;
  short_desc: string;
  /** `internal`, `postmaster` (restart), `sighup` (reload), `superuser-backend`, `backend` (new session), `superuser`, `user`. */
  context: string;
  source: string;
  sourcefile: string | null;
  sourceline: number | null;
  pending_restart: boolean;
}

/** An entry of the configuration files as they are now, whether the server has read them or not. */
export interface FileEntry {
  name: string;
  setting: string | null;
  sourcefile: string | null;
  sourceline: number | null;
  applied: boolean;
  error: string | null;
}

const SETTINGS = `SELECT name, setting, reset_val, boot_val, unit, category, short_desc, context, vartype, source, min_val, max_val,
  enumvals, sourcefile, sourceline, pending_restart FROM pg_catalog.pg_settings ORDER BY name`;

const ENTRIES = `SELECT name, setting, sourcefile, sourceline, applied, error FROM pg_catalog.pg_file_settings
  WHERE name IS NOT NULL ORDER BY seqno`;

/** All settings that this role may see, by name in lower case: names differ in case only in how they are printed. */
export async function readSettings(
  pg: PgSession,
  signal?: AbortSignal,
): Promise<Map<string, Setting>> {
  const { rows } = await pg.ask(SETTINGS, [], { signal });
  return new Map((rows as unknown as Setting[]).map((row) => [row.name.toLowerCase(), row]));
}

/** The GRANTs that this role needs to see all settings; empty when it sees them all. */
export async function missingRights(pg: PgSession, signal?: AbortSignal): Promise<string[]> {
  const { rows } = await pg.ask(
    "SELECT pg_has_role('pg_read_all_settings', 'USAGE') AS all, quote_ident(current_user) AS me",
    [],
    { signal },
  );
  if (rows[0]?.["all"] === true) return [];
  return [
    `Files, lines and some settings: GRANT pg_read_all_settings TO ${String(rows[0]?.["me"])}`,
  ];
}

/** Entries in the order in which they are read: the last of a name counts. Needs the right to read `pg_file_settings`. */
export async function readFileEntries(pg: PgSession, signal?: AbortSignal): Promise<FileEntry[]> {
  const { rows } = await pg.ask(ENTRIES, [], { signal });
  return rows as unknown as FileEntry[];
}

const MAY_READ_ENTRIES = `SELECT has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')
    AND has_table_privilege('pg_catalog.pg_file_settings', 'SELECT') AS may, quote_ident(current_user) AS me`;

/**
 * The settings that wait for a restart, by name in lower case. The server itself says so of one more: of a line that was taken out of
 * the files again before it was in force. That takes the right to read the files; without it, all that the server says, and the GRANT.
 */
export async function waitingForRestart(
  pg: PgSession,
  settings: ReadonlyMap<string, Setting>,
  signal?: AbortSignal,
): Promise<{ names: Set<string>; missing: string[] }> {
  const flagged = [...settings].filter(([, setting]) => setting.pending_restart);
  const keys = (list: typeof flagged) => new Set(list.map(([key]) => key));
  if (flagged.length === 0) return { names: new Set(), missing: [] };
  const { may, me } = (await pg.ask(MAY_READ_ENTRIES, [], { signal })).rows[0] ?? {};
  if (may !== true) {
    const grant = `GRANT SELECT ON pg_file_settings TO ${String(me)}; GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO ${String(me)}`;
    const missing = `Whether what waits for a restart was changed back since: ${grant}`;
    return { names: keys(flagged), missing: [missing] };
  }
  const winners = winningEntries(await readFileEntries(pg, signal));
  const waiting = flagged.filter(([key, setting]) => {
    const entry = winners.get(key);
    // A setting that stands in no file has its default at the next start, or the value of the command line again.
    return entry === undefined
      ? setting.source === "configuration file" && awaitsRestart(setting, null)
      : awaitsRestart(setting, entry.setting);
  });
  return { names: keys(waiting), missing: [] };
}

/** True for the file that ALTER SYSTEM writes. */
export function isAutoConf(file: string | null): boolean {
  return /(^|[\\/])postgresql\.auto\.conf$/.test(file ?? "");
}

/** True when this session has its value from its role, database or client. Other sessions may then have another one. */
export function isOverriddenHere({ name, source }: Setting): boolean {
  // Every session of pgdba names itself.
  if (name === "application_name") return true;
  return ["database", "user", "database user", "client"].includes(source);
}

/** True when the server runs with another value than the configured one until it is restarted. */
export function awaitsRestart(
  setting: Setting | undefined,
  configured: string | null | undefined,
): boolean {
  if (setting === undefined || neededFor(setting.context) !== "restart") return false;
  const next = configured ?? setting.boot_val;
  return next !== null && !sameValue(setting, setting.setting, next);
}

/** The values that ALTER SYSTEM has set: by name in lower case, as text. */
export function alterSystemValues(entries: readonly FileEntry[]): Map<string, string> {
  return new Map(
    entries
      .filter((entry) => isAutoConf(entry.sourcefile))
      .map((entry) => [entry.name.toLowerCase(), entry.setting ?? ""]),
  );
}

/** The entry that counts for each name, by name in lower case. */
export function winningEntries(entries: readonly FileEntry[]): Map<string, FileEntry> {
  return new Map(entries.map((entry) => [entry.name.toLowerCase(), entry]));
}

/** The action that brings a changed setting into force. */
export function neededFor(context: string): "reload" | "new_session" | "restart" | "never" {
  if (context === "internal") return "never";
  if (context === "postmaster") return "restart";
  return context === "backend" || context === "superuser-backend" ? "new_session" : "reload";
}

/** The name nearest to a mistyped one, by the pairs of letters they share (Dice's coefficient); undefined when none is near. */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  const pairs = (text: string): Set<string> =>
    new Set(Array.from({ length: text.length - 1 }, (_, at) => text.slice(at, at + 2)));
  const wanted = pairs(word.toLowerCase());
  let best: { name: string; score: number } | undefined;
  for (const name of names) {
    const has = pairs(name.toLowerCase());
    const score = (2 * wanted.intersection(has).size) / (wanted.size + has.size);
    if (score > 0.6 && score > (best?.score ?? 0)) best = { name, score };
  }
  return best?.name;
}
