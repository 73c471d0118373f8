import { isUnconvertible } from "./errors.ts";
import { MARK, marked } from "./own.ts";
import type { PgSession, Run } from "./session.ts";

/** Texts that pg_stat_statements has recorded. */
export interface Texts {
  /** By `database/queryid`: OID and number. */
  found: Map<string, { query: string; database: string | null }>;
  /** Why some of them can't be read here; null when all were. */
  trouble: { message: string; hint: string } | null;
}

/** In the place of a text that can't be read. */
export const UNREAD = "<not valid in the encoding of this database>";

const texts = (
  schema: string,
) => `SELECT DISTINCT ON (s.dbid, s.queryid) s.dbid || '/' || s.queryid AS id, s.query, d.datname AS database
FROM unnest($1::oid[], $2::int8[]) AS wanted (dbid, queryid) JOIN ${schema}.pg_stat_statements s USING (dbid, queryid)
LEFT JOIN pg_database d ON d.oid = s.dbid WHERE s.query IS NOT NULL ORDER BY s.dbid, s.queryid`;

/** Databases in which the texts of all others are valid, or can be converted. */
const READERS = `SELECT datname AS name FROM pg_database d WHERE datallowconn AND datname <> current_database() AND has_database_privilege(oid, 'CONNECT')
  AND (encoding = 0 OR encoding = 6 AND (SELECT encoding FROM pg_database WHERE datname = current_database()) <> 6) ORDER BY encoding LIMIT 3`;

/** Roles that see their own statements alone. */
const roles = (
  schema: string,
) => `SELECT r.oid::text AS oid FROM pg_roles r WHERE NOT r.rolsuper AND NOT pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE')
  AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  AND r.oid IN (SELECT userid FROM ${schema}.pg_stat_statements(false) WHERE dbid || '/' || queryid = ANY ($1::text[])) LIMIT 20`;

const foreign = (
  schema: string,
) => `SELECT d.oid::text AS oid, d.datname AS name, pg_encoding_to_char(d.encoding) AS encoding, current_setting('server_encoding') AS here
FROM pg_database d WHERE d.encoding <> (SELECT encoding FROM pg_database WHERE datname = current_database())
  AND d.oid IN (SELECT dbid FROM ${schema}.pg_stat_statements(false)) ORDER BY d.encoding <> 0, d.datname LIMIT 3`;

/**
 * Reads the texts of statements. pg_stat_statements keeps those of all databases, each in its database's encoding, and gives none at all
 * when one is not valid in this one's. Then they are read through a database where they are, or role by role, without that of the bad one.
 * @param run in a transaction whose search_path is pg_catalog
 * @param schema the extension's, quoted
 * @param open opens a session to another database; the caller of it closes it
 */
export async function readTexts(
  run: Run,
  open: (database: string) => Promise<PgSession>,
  schema: string,
  ids: readonly string[],
): Promise<Texts> {
  const parts = ids.map((id) => id.split("/"));
  const values = [parts.map(([database]) => database), parts.map(([, queryid]) => queryid)];
  const found: Texts["found"] = new Map();
  const read = async (ask: Run, from: string): Promise<void> => {
    const { rows } = await ask(marked(texts(from)), values, { maxRows: ids.length + 1 });
    for (const { id, query, database } of rows)
      found.set(String(id), {
        query: String(query),
        database: database === null ? null : String(database),
      });
  };
  if (ids.length === 0 || (await attempt(run, () => read(run, schema))))
    return { found, trouble: null };
  for (const { name } of (await run(marked(READERS))).rows)
    if (await elsewhere(open, String(name), read)) return { found, trouble: null };
  for (const { oid } of (await run(marked(roles(schema)), [ids])).rows)
    await attempt(run, async () => {
      await run(
        "SELECT /* pgdba */ set_config('role', (SELECT rolname FROM pg_roles WHERE oid = $1), true)",
        [oid],
      );
      await read(run, schema);
    });
  if (ids.every((id) => found.has(id))) return { found, trouble: null };
  const { rows } = await run(marked(foreign(schema)));
  return { found, trouble: troubleOf(rows as unknown as Foreign[]) };
}

/** False when a text could not be converted. All that was set meanwhile is as before. */
async function attempt(run: Run, work: () => Promise<void>): Promise<boolean> {
  await run(`SAVEPOINT ${MARK} pgdba_texts`);
  try {
    await work();
    await run(`ROLLBACK ${MARK} TO SAVEPOINT pgdba_texts`);
    return true;
  } catch (error) {
    await run(`ROLLBACK ${MARK} TO SAVEPOINT pgdba_texts`);
    if (isUnconvertible(error)) return false;
    throw error;
  }
}

/** Reads through another database, where that has the extension and this role may. */
async function elsewhere(
  open: (database: string) => Promise<PgSession>,
  database: string,
  read: (run: Run, schema: string) => Promise<void>,
): Promise<boolean> {
  const other = await open(database).catch(() => null);
  if (other === null) return false;
  try {
    return await other.transaction({ readOnly: true, timeoutMs: 30_000 }, async (run) => {
      await run("SET /* pgdba */ LOCAL search_path = pg_catalog, pg_temp");
      const { rows } = await run(marked(EXTENSION));
      if (rows[0] === undefined) return false;
      return attempt(run, () => read(run, String(rows[0]?.["schema"])));
    });
  } catch {
    return false;
  } finally {
    await other.close();
  }
}

const EXTENSION = `SELECT quote_ident(n.nspname) AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`;

interface Foreign {
  oid: string;
  name: string;
  encoding: string;
  here: string;
}

function troubleOf(databases: Foreign[]): { message: string; hint: string } {
  const [first] = databases;
  const names = databases.map(({ name, encoding }) => `${name} (${encoding})`).join(" or ");
  return {
    message: `pg_stat_statements holds a text of another database${first === undefined ? "" : `, ${names},`} that is not valid in ${first?.here ?? "this one's encoding"}, so it gives no texts at all`,
    hint:
      first === undefined
        ? "Connect to the database that the statements ran in."
        : `Create the extension pg_stat_statements in ${first.name}: then they are read there. Or remove only the statements of that database: SELECT pg_stat_statements_reset(0, ${first.oid}, 0);`,
  };
}
