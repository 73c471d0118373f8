import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { commandLine } from "../../command-line.ts";
import { placeIdentifiers } from "../../sql/input.ts";
import { textsOf } from "./texts.ts";

/** The schema that pg_stat_statements lives in, and its version as a number: 1.10 is 110. */
export interface Extension {
  schema: string;
  version: number;
}

/**
 * Finds pg_stat_statements in this database.
 * @throws PgdbaError capability_missing with the steps that are left to enable it
 */
export async function statementsExtension(session: PgSession): Promise<Extension> {
  const { rows } = await session.ask(
    `SELECT current_setting('pg_stat_statements.max', true) IS NOT NULL AS loaded, n.nspname AS schema, e.extversion AS version,
       has_schema_privilege(n.oid, 'USAGE') AS usable
     FROM (VALUES (1)) one LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace`,
  );
  const { loaded, schema, version, usable } = rows[0] ?? {};
  if (loaded === true && typeof schema === "string") {
    if (usable === false) throw unusable(session, schema);
    const [major = 1, minor = 0] = String(version).split(".").map(Number);
    return { schema, version: major * 100 + minor };
  }
  const create = "CREATE EXTENSION pg_stat_statements;";
  const preload =
    "add pg_stat_statements to shared_preload_libraries in postgresql.conf (on a Patroni cluster in its dynamic configuration), restart the server";
  throw new PgdbaError(
    "capability_missing",
    loaded === true
      ? `pg_stat_statements is loaded, but not created in database ${session.info.database}`
      : "pg_stat_statements is not loaded on this server",
    {
      hint:
        loaded === true
          ? `As a superuser in ${session.info.database}: ${create}`
          : `To enable it: 1. ${preload}; 2. ${typeof schema === "string" ? "nothing more, the extension is created" : `as a superuser in ${session.info.database}: ${create}`}`,
      data: { loaded: loaded === true, created: typeof schema === "string" },
    },
  );
}

function unusable({ info }: PgSession, schema: string): PgdbaError {
  return new PgdbaError(
    "insufficient_privilege",
    `${info.user} may not use the schema ${schema} that pg_stat_statements is in`,
    {
      hint: placeIdentifiers('As its owner: GRANT USAGE ON SCHEMA :"schema" TO :"role";', {
        schema,
        role: info.user,
      }),
    },
  );
}

/** The text that a role without the privilege sees instead of others' statements; their queryid is NULL. */
export const HIDDEN_TEXT = "<insufficient privilege>";

/** The GRANT that lets the role of this session see them. */
export function grantHint({ info }: PgSession): string {
  const grant = placeIdentifiers('GRANT pg_monitor TO :"role"', { role: info.user });
  return `To see others' statements needs pg_read_all_stats: as a superuser, ${grant};`;
}

/**
 * The text of a recorded statement, and the database that it ran in (this one, if it ran in several).
 * @throws PgdbaError capability_missing | invalid_param when there is none, or it is hidden from the role
 */
export async function recordedStatement(
  ctx: StepContext,
  session: PgSession,
  queryid: string,
): Promise<{ text: string; database: string }> {
  const { schema } = await statementsExtension(session);
  const { rows } = await session.ask(
    placeIdentifiers(
      `SELECT s.dbid || '/' || s.queryid AS id, d.datname AS database FROM :"schema".pg_stat_statements(false) s JOIN pg_database d ON d.oid = s.dbid
       WHERE s.queryid::text = $1 ORDER BY d.datname = current_database() DESC, s.calls DESC LIMIT 1`,
      { schema },
    ),
    [queryid],
  );
  const { id, database } = rows[0] ?? {};
  if (typeof id !== "string" || typeof database !== "string") {
    throw new PgdbaError("invalid_param", `pg_stat_statements has no statement ${queryid}`, {
      hint: `List them with \`${commandLine(ctx.target, ["query", "slow-log"])}\`; rare ones are dropped when pg_stat_statements.max is reached. ${grantHint(session)}`,
    });
  }
  const { found, trouble } = await textsOf(ctx, session, schema, [id]);
  const query = found.get(id)?.query;
  if (query !== undefined) return { text: query, database };
  throw new PgdbaError(
    "invalid_param",
    `The text of statement ${queryid} can't be read: ${trouble?.message ?? "it was dropped just now"}`,
    {
      hint:
        trouble?.hint ?? `List them with \`${commandLine(ctx.target, ["query", "slow-log"])}\`.`,
    },
  );
}
