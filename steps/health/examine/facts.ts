import { PgdbaError } from "../../../engine/errors.ts";
import { primarySettings } from "../../../providers/postgres/control-file.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { isRunByPatroni } from "../../../providers/patroni/signs.ts";
import { hugePages, kernelFiles, machineOf } from "../../../providers/machine.ts";
import type { FromSchema } from "../../../engine/shared/from-schema.ts";
import type { Limits } from "./limits.ts";
import type { MACHINE_SCHEMA } from "../check/server-schema.ts";

/** The facts about the server that are known before any check runs. */
export interface Facts {
  version: number;
  version_num: number;
  release: string;
  role: "primary" | "standby";
  database: string;
  database_quoted: string;
  user: string;
  user_quoted: string;
  superuser: boolean;
  started_at: string;
  stats_days: number;
  /** Predefined roles that there are, and those of them whose rights this user has. */
  predefined: string[];
  roles: string[];
  /** Relations of pg_catalog that this user may not read. */
  denied: string[];
  /** Installed extensions and their schemas, quoted. */
  extensions: Record<string, { version: string; schema: string; usable: boolean }>;
  /** Value of each setting that this user may see, as the server starts a session with it. */
  settings: Record<string, string>;
  /** The source of a setting's value (`pg_settings.source`) when it wins over the server's configuration files. */
  origins: Record<string, string>;
  /** Settings that only a restart changes. */
  restarting: string[];
  /** Settings that nobody can change. */
  fixed: string[];
  /** Patroni runs this server. */
  patroni: boolean;
  /** The other databases that take connections. */
  databases: string[];
  machine: Machine;
  /** The flags that name this server to another command. */
  flags: string;
  primary: Primary;
}

/** The facts about the server's machine; 0 and an empty text where they are not known. See `MACHINE_SCHEMA`. */
export type Machine = FromSchema<typeof MACHINE_SCHEMA>;

/** The settings of which the primary has more than this standby. See `PRIMARY_SCHEMA`. */
export type Primary = {
  known: boolean;
  more: Record<string, number>;
  words: string;
  set: boolean;
  next_known: boolean;
  next: Record<string, number>;
  next_words: string;
};

const NO_PRIMARY: Primary = {
  known: false,
  more: {},
  words: "",
  set: false,
  next_known: false,
  next: {},
  next_words: "",
};

const NO_MACHINE: Machine = {
  memory: "",
  memory_bytes: 0,
  huge_page_bytes: 0,
  huge_pages: 0,
  huge_pages_free: 0,
};

const FACTS = `
select /* pgdba */ json_build_object(
  'version', current_setting('server_version_num')::int / 10000,
  'version_num', current_setting('server_version_num')::int,
  'release', current_setting('server_version'),
  'role', case when pg_is_in_recovery() then 'standby' else 'primary' end,
  'database', current_database(),
  'database_quoted', quote_ident(current_database()),
  'user', current_user,
  'user_quoted', quote_ident(current_user),
  'superuser', (select rolsuper from pg_catalog.pg_roles where rolname = current_user),
  'started_at', pg_postmaster_start_time(),
  'stats_days', (select round(extract(epoch from now() - coalesce(stats_reset, pg_postmaster_start_time()))::numeric / 86400, 2)
                 from pg_catalog.pg_stat_database where datname = current_database()),
  'predefined', (select json_agg(rolname order by rolname) from pg_catalog.pg_roles where rolname ~ '^pg_'),
  'roles', (select coalesce(json_agg(rolname order by rolname), '[]') from pg_catalog.pg_roles
            where rolname ~ '^pg_' and pg_has_role(oid, 'USAGE')),
  'denied', (select coalesce(json_agg(relname), '[]') from pg_catalog.pg_class
             where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v') and not has_table_privilege(oid, 'SELECT')),
  'extensions', (select coalesce(json_object_agg(e.extname, json_build_object('version', e.extversion, 'schema', quote_ident(n.nspname),
                   'usable', has_schema_privilege(n.oid, 'USAGE'))), '{}')
                 from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace),
  'databases', (select coalesce(json_agg(datname order by datname), '[]') from pg_catalog.pg_database
                where datallowconn and not datistemplate and datname <> current_database()),
  'settings', (select json_object_agg(name, coalesce(reset_val, setting)) from pg_catalog.pg_settings),
  'origins', (select coalesce(json_object_agg(name, source), '{}') from pg_catalog.pg_settings
              where source in ('environment variable', 'command line', 'global', 'database', 'user', 'database user')),
  'restarting', (select json_agg(name order by name) from pg_catalog.pg_settings where context = 'postmaster'),
  'fixed', (select json_agg(name order by name) from pg_catalog.pg_settings where context = 'internal'))`;

/** Asks the server what it is. @throws PgdbaError unsupported before PostgreSQL 13, or what made the query fail */
export async function readFacts(pg: PgSession, limits: Limits): Promise<Facts> {
  if (pg.info.version_num < 130000) {
    throw new PgdbaError(
      "unsupported",
      `Health checks need PostgreSQL 13 or later; this is ${pg.info.version}`,
      {
        hint: "Upgrade the server; its version has been without fixes for years.",
      },
    );
  }
  const { columns, error } = await pg.readBatch([FACTS], limits);
  if (error !== null) throw error;
  const facts = JSON.parse(columns[0]?.[0] ?? "{}") as Omit<
    Facts,
    "machine" | "patroni" | "primary" | "flags"
  >;
  const patroni = isRunByPatroni((name) => facts.origins[name]);
  return { ...facts, patroni, machine: NO_MACHINE, primary: NO_PRIMARY, flags: "" };
}

/** Asks the kernel of the server's machine, as far as that is possible; what its `node` may use counts before what is found so. */
export async function readMachine(
  pg: PgSession,
  host: string,
  { node, signal }: { node: { memoryKb: number | null } | null; signal: AbortSignal },
): Promise<Machine> {
  const files = await kernelFiles(pg, host, signal);
  const [found, pages] = await Promise.all([
    files && machineOf(files.read, files.process),
    files && hugePages(files.read),
  ]);
  const memoryKb = node?.memoryKb ?? found?.memoryKb ?? null;
  return {
    memory: memoryKb === null ? "" : `${Math.floor(memoryKb / 1024)}MB`,
    memory_bytes: (memoryKb ?? 0) * 1024,
    huge_page_bytes: pages?.pageBytes ?? 0,
    huge_pages: pages?.total ?? 0,
    huge_pages_free: pages?.free ?? 0,
  };
}

/** The settings of which the primary has more than this standby, now or at its next start, as far as this user may know. */
export async function readPrimary(
  pg: PgSession,
  { settings }: Facts,
  signal: AbortSignal,
): Promise<Primary> {
  const held = await primarySettings(pg, signal);
  if (held === null) return NO_PRIMARY;
  const more = [...held].filter(([name, value]) => value > Number(settings[name]));
  const files = await inFiles(pg, [...held.keys()], signal);
  // What is too little already has its restart before it.
  const next = [...held].filter(([name, value]) => {
    const starts = files?.get(name)?.starts ?? null;
    return value <= Number(settings[name]) && starts !== null && starts < value;
  });
  return {
    known: true,
    more: Object.fromEntries(more),
    words: more.map(([name, value]) => `${name} = ${value}`).join(", "),
    set: more.length > 0 && more.every(([name, value]) => (files?.get(name)?.given ?? 0) >= value),
    next_known: files !== null,
    next: Object.fromEntries(next),
    next_words: next
      .map(([name, value]) => `${name} = ${files?.get(name)?.starts}, the primary ${value}`)
      .join("; "),
  };
}

/** The last entry of a name in the files counts; without one, at the next start, what PostgreSQL comes with. The command line wins over both. */
const IN_FILES = `SELECT s.name, f.setting AS given, CASE WHEN s.source <> 'command line' THEN coalesce(f.setting, s.boot_val) END AS starts
  FROM pg_catalog.pg_settings s LEFT JOIN LATERAL (
    SELECT f.setting FROM pg_catalog.pg_file_settings f WHERE lower(f.name) = s.name AND f.sourcefile IS NOT NULL ORDER BY f.seqno DESC LIMIT 1) f ON true
  WHERE s.name = ANY ($1)`;
const MAY_READ_FILES = `SELECT pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')
  AND pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE') AS may`;

/** What the files give, and what the next start has; null for a user who may not read them. */
async function inFiles(
  pg: PgSession,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, { given: number | null; starts: number | null }> | null> {
  const { rows } = await pg.ask(MAY_READ_FILES, [], { signal });
  if (rows[0]?.["may"] !== true) return null;
  const found = await pg.ask(IN_FILES, [names], { signal });
  const numberOf = (value: unknown): number | null => (value === null ? null : Number(value));
  return new Map(
    found.rows.map(({ name, given, starts }) => [
      String(name),
      { given: numberOf(given), starts: numberOf(starts) },
    ]),
  );
}
