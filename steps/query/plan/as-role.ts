import { PgdbaError } from "../../../engine/errors.ts";
import { shellQuoted } from "../../../engine/shared/shell-words.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import { marked } from "../../../providers/postgres/own.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import { IS_PLANNER, MORE } from "./planner-settings.ts";

const ROLE = `SELECT pg_catalog.pg_has_role(r.oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS may
  FROM pg_catalog.pg_roles r WHERE r.rolname = $1`;

/**
 * The values with which a session of the role would begin: of settings that shape a plan, of row_security, and of custom ones, which policies read. The
 * narrowest wins: that of the role in this database, of the role, of the database, of all.
 */
const SETTINGS = `SELECT DISTINCT ON (s.name) s.name, s.value, s.own
  FROM (SELECT lower(split_part(c, '=', 1)) AS name, substr(c, strpos(c, '=') + 1) AS value, d.setrole <> 0 AS own,
      d.setrole <> 0 AS narrow, d.setdatabase <> 0 AS here
    FROM pg_catalog.pg_db_role_setting d CROSS JOIN unnest(d.setconfig) c
    WHERE d.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1))
      AND d.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))) s
  LEFT JOIN pg_catalog.pg_settings p ON p.name = s.name
  WHERE ${IS_PLANNER("$2")} OR p.name = 'row_security' OR p.name IS NULL AND s.name LIKE '%.%'
  ORDER BY s.name, s.narrow DESC, s.here DESC`;

/** Settings that this connection has by its own role. */
const MINE = `SELECT p.name FROM pg_catalog.pg_settings p WHERE p.source IN ('user', 'database user') AND ${IS_PLANNER("$1")} ORDER BY p.name`;

/**
 * Takes the rights of the role for the rest of the transaction, its search_path and its planner settings: SET ROLE alone leaves those of
 * whoever has connected.
 * @returns planner settings of the own role that stay, since nobody can tell what the other role would have instead
 * @throws PgdbaError invalid_param | insufficient_privilege
 */
export async function becomeRole(run: Run, role: string): Promise<string[]> {
  const [found] = (await run(marked(ROLE), [role])).rows;
  if (found === undefined)
    throw new PgdbaError("invalid_param", `There is no role ${role}`, {
      hint: "`pgdba role list` shows those there are.",
    });
  if (found["may"] !== true)
    throw new PgdbaError("insufficient_privilege", `This user may not act as ${role}`, {
      hint: `Connect as a superuser, or have it made a member: GRANT ${quoteIdent(role)} TO the user.`,
    });
  const { rows } = await run(marked(SETTINGS), [role, MORE]);
  const mine = (await run(marked(MINE), [MORE])).rows.map(({ name }) => String(name));
  await run(`SET /* pgdba */ LOCAL ROLE ${quoteIdent(role)}`);
  for (const { name, value } of rows)
    await run("SELECT /* pgdba */ pg_catalog.set_config($1, $2, true)", [name, value]);
  const given = new Set(rows.map(({ name }) => name));
  return mine.filter((name) => !given.has(name));
}

/** What to say of settings that are not the role's. */
export function keptWords(kept: readonly string[], role: string): string {
  const example = shellQuoted(JSON.stringify({ [kept[0] ?? ""]: "…" }));
  return `${kept.join(", ")}: set for the role that is connected, and not for ${role}, whose sessions may have another value. Give that with --settings ${example}.`;
}
