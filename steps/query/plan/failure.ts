import { PgdbaError } from "../../../engine/errors.ts";
import { shellQuoted } from "../../../engine/shared/shell-words.ts";
import { parametersOf } from "../../../providers/parameters/typed.ts";
import { spelt } from "../../../providers/parameters/spelling.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import { becomeRole } from "./as-role.ts";
import { readStatement, type Statement } from "../../../providers/postgres/guard/statement.ts";

/** The source of the text: the user, or pg_stat_statements. */
export type Origin = "given" | "recorded";

interface About {
  pg: PgSession;
  statement: Statement;
  origin: Origin;
  /** With whose rights and settings; null for those of the user that has connected. */
  role: string | null;
}

/** An error of the statement with what can be done about it: the server does not know where the text is from, nor what was asked for. */
export async function inWords(error: unknown, about: About): Promise<unknown> {
  if (!(error instanceof PgdbaError)) return error;
  const state = sqlstateOf(error);
  if (state === "42501") return denied(error, about);
  if (state === "42704" && lacksSetting(error)) return withHint(error, givingSetting(error));
  const elsewhere = state === "42P01" ? await otherSchemas(about) : null;
  if (elsewhere !== null) return withHint(error, elsewhere);
  const unknown = parametersOf(error);
  if (unknown !== null)
    return withHint(
      error,
      about.origin === "given"
        ? `No usual type fits ${unknown}. Write the values into the statement, or casts such as $1::date.`
        : `pg_stat_statements keeps $1, $2, … where the constants stood; what ${unknown} was is not known, and no usual type fits. If what the message names is there, give the statement with its values by --sql.`,
    );
  if (about.origin === "given" || state === undefined || !/^(42|22|3F)/.test(state)) return error;
  return withHint(
    error,
    GONE.has(state)
      ? "It ran under another search_path, or what it names was changed or dropped since. Give its text, with the schema of each table, by --sql."
      : "pg_stat_statements keeps $1, $2, … where the constants stood, and the server can't tell from this text what they were. Give the statement with its values by --sql.",
  );
}

/** The functions of the server that look for a setting: a missing type or collation has the same SQLSTATE. */
const LOOKS_FOR_SETTING = new Set(["find_option", "GetConfigOptionByName"]);

function lacksSetting({ cause }: PgdbaError): boolean {
  const { routine } = (cause ?? {}) as { routine?: unknown };
  return typeof routine === "string" && LOOKS_FOR_SETTING.has(routine);
}

/** The name is only shown: where the message has none that could be it, the person who reads it has to fill it in. */
function givingSetting({ message }: PgdbaError): string {
  const [name = "NAME"] = /\w+(?:\.\w+)+/.exec(message) ?? [];
  return `The statement, a function or a policy of row security reads this setting, which the application sets. Give it for this statement: --settings ${shellQuoted(JSON.stringify({ [name]: "VALUE" }))}.`;
}

/** A table, schema, column, function or type that is not there. */
const GONE = new Set(["42P01", "3F000", "42703", "42883", "42704"]);

/** The privileges that the role lacks on the named tables: $1 schemas, $2 names, $3 privileges. */
const LACKING = `SELECT DISTINCT c.oid, n.nspname AS schema, c.relname AS name, wanted.schema IS NULL AS bare,
  CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN wanted.privilege ELSE 'USAGE' END AS privilege
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (schema, name, privilege)
JOIN pg_class c ON c.relname = wanted.name AND c.relkind IN ('r', 'v', 'm', 'f', 'p') JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE CASE WHEN wanted.schema IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = wanted.schema END
  AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, wanted.privilege))
ORDER BY c.oid, privilege LIMIT 20`;

interface Lacking {
  schema: string;
  name: string;
  /** Named without its schema. */
  bare: boolean;
  privilege: string;
}

/** Tables of these names that the search_path does not reach, of schemas that may be used: $1 names. */
const ELSEWHERE = `SELECT c.relname AS name, n.nspname AS schema, pg_catalog.current_schemas(false)::text[] AS path
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname !~ '^pg_(temp|toast)'
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class v WHERE v.relname = c.relname AND pg_catalog.pg_table_is_visible(v.oid))
ORDER BY count(*) OVER (PARTITION BY n.nspname) DESC, n.nspname, c.relname LIMIT 20`;

/** How tables are found that stand in schemas which the search_path does not name; null where there are none. */
async function otherSchemas({ pg, statement, role }: About): Promise<string | null> {
  const bare = (await tablesOf(pg, statement)).filter(({ schema }) => schema === null);
  const found = await asked(pg, role, ELSEWHERE, [[...new Set(bare.map(({ name }) => name))]]);
  const rows = found.rows as unknown as { name: string; schema: string; path: string[] }[];
  const [first] = rows;
  if (first === undefined) return null;
  // Of a name that several schemas have, the one that has most of the others.
  const chosen = new Map<string, string>();
  for (const { name, schema } of rows) if (!chosen.has(name)) chosen.set(name, schema);
  const path = [...new Set([...chosen.values(), ...first.path])].map(quoted).join(",");
  const words = rows.map(({ name, schema }) => `${quoted(schema)}.${quoted(name)}`).join(", ");
  const settings = shellQuoted(JSON.stringify({ search_path: path }));
  return `The search_path of ${role ?? "this connection"} does not reach ${words}. Add --settings ${settings}, or write the schema before each table.`;
}

/** The tables that the statement names. */
async function tablesOf(pg: PgSession, statement: Statement) {
  // At the place of a typed literal only a cast will do.
  const major = Math.floor(pg.info.version_num / 10_000);
  const { names } =
    statement.names === null
      ? await readStatement((await spelt(statement.text, major)).text)
      : statement;
  return names?.tables ?? [];
}

/** The GRANT that is missing, as far as the catalogues tell. */
async function denied(error: PgdbaError, { pg, statement, role: as }: About): Promise<PgdbaError> {
  const wanted = (await tablesOf(pg, statement)).flatMap(({ schema, name, privileges }) =>
    privileges.map((privilege) => ({ schema, name, privilege })),
  );
  const columns = (["schema", "name", "privilege"] as const).map((key) =>
    wanted.map((one) => one[key]),
  );
  const found = await asked(pg, as, LACKING, columns);
  const role = quoteIdent(as ?? pg.info.user);
  const grants = (found.rows as unknown as Lacking[]).map(({ schema, name, bare, privilege }) =>
    privilege === "USAGE"
      ? `GRANT USAGE ON SCHEMA ${quoted(schema)} TO ${role}`
      : `GRANT ${privilege} ON ${bare ? "" : `${quoted(schema)}.`}${quoted(name)} TO ${role}`,
  );
  return withHint(
    error,
    grants.length === 0
      ? `Planning takes the privileges that running it does: have them granted to ${role}, or connect as a role that has them.`
      : `As the owner: ${[...new Set(grants)].join("; ")};`,
  );
}

/** The rows, as the role sees them; none where it can't be asked. */
function asked(pg: PgSession, role: string | null, sql: string, values: (string | null)[][]) {
  const found =
    role === null
      ? pg.query(sql, values)
      : pg.transaction({ readOnly: true }, async (run) => {
          await becomeRole(run, role);
          return run(sql, values);
        });
  return found.catch(() => ({ rows: [] }));
}

/** Quoted where it has to be; that it is no key word of SQL is not known, so that only short and plain names are left as they are. */
function quoted(name: string): string {
  return /^[a-z][a-z0-9_]*$/.test(name) ? name : quoteIdent(name);
}

function withHint(error: PgdbaError, hint: string): PgdbaError {
  const { code, message, retryable, cause, data } = error;
  return new PgdbaError(code, message, { hint, retryable, cause, data });
}
