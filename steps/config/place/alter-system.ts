import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { another, session } from "../../sql/session.ts";
import { textOf } from "../../settings-file.ts";
import { confirmed, faultsOf, notInForce } from "./in-force.ts";
import { opensSessions } from "./new-session.ts";
import type { Place } from "./place.ts";
import { hideSecrets } from "../check/secrets.ts";
import {
  alterSystemValues,
  isAutoConf,
  readFileEntries,
  readSettings,
  type Setting,
  winningEntries,
} from "../../../providers/postgres/settings.ts";
import { isList, listElements } from "../../../providers/postgres/setting-value.ts";
import { isRunByPatroni } from "../../../providers/patroni/signs.ts";

/** A reload reaches a session within milliseconds; a loaded machine takes longer. */
const PATIENCE_MS = 10_000;
const POLL_MS = 25;
const STATEMENT_MS = 10_000;

/** Settings of the data directory and of one transaction, which the server refuses in postgresql.auto.conf. */
const NOT_IN_FILE = new Set([
  "config_file",
  "data_directory",
  "is_superuser",
  "role",
  "seed",
  "session_authorization",
  "transaction_deferrable",
  "transaction_isolation",
  "transaction_read_only",
]);

const RIGHTS = `SELECT has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')
    AND has_table_privilege('pg_catalog.pg_file_settings', 'SELECT') AS entries,
  has_function_privilege('pg_catalog.pg_reload_conf()', 'EXECUTE') AS reload,
  pg_has_role('pg_read_all_settings', 'USAGE') AS settings,
  current_setting('allow_alter_system', true) IS NOT DISTINCT FROM 'off' AS forbidden, quote_ident(current_user) AS me`;

/** Names as they were given: those that can't be one are refused later. */
const NOT_GRANTED = `SELECT name FROM unnest($1::text[]) AS name
  WHERE name ~ '^[A-Za-z_][A-Za-z0-9_$.]*$' AND NOT has_parameter_privilege(name, 'ALTER SYSTEM')`;

/** Names are quoted by part, since a setting of an extension has two; values by the server's own rule. */
const STATEMENT = `SELECT format('ALTER SYSTEM %s %s', CASE WHEN $2::text[] IS NULL THEN 'RESET' ELSE 'SET' END,
    (SELECT string_agg(quote_ident(part), '.' ORDER BY n) FROM unnest(string_to_array($1, '.')) WITH ORDINALITY AS p (part, n)))
  || coalesce(' TO ' || (SELECT string_agg(quote_literal(value), ', ' ORDER BY n) FROM unnest($2::text[]) WITH ORDINALITY AS v (value, n)), '')
  AS sql`;

/**
 * A bare server's settings, changed by ALTER SYSTEM.
 * @throws PgdbaError insufficient_privilege | step_refused when Patroni runs the server: it would act on one member only
 */
export async function openAlterSystem(ctx: StepContext, names: readonly string[]): Promise<Place> {
  const pg = await session(ctx);
  const rights = (await pg.ask(RIGHTS, [], { signal: ctx.signal })).rows[0] ?? {};
  const server: Server = { ctx, pg, rights };
  if (rights["entries"] !== true || rights["settings"] !== true) {
    const me = String(rights["me"]);
    // All at once: what it takes to write as well.
    const grants = [
      `GRANT pg_read_all_settings TO ${me}`,
      `GRANT SELECT ON pg_file_settings TO ${me}`,
      `GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO ${me}`,
      ...(names.length === 0 || pg.info.version_num < 150000
        ? []
        : await grantsToWrite(server, names)),
    ];
    throw new PgdbaError(
      "insufficient_privilege",
      `${pg.info.user} may not read the server's configuration files`,
      { hint: `A superuser may, or: ${grants.join("; ")}.`, data: { grants } },
    );
  }
  const settings = hideSecrets(ctx, await readSettings(pg, ctx.signal));
  refusePatroni(settings);
  let entries = await readFileEntries(pg, ctx.signal);

  return {
    kind: "alter_system",
    settings,
    held: alterSystemValues(entries),
    configured(setting) {
      return winningEntries(entries).get(setting.name.toLowerCase())?.setting ?? null;
    },
    beneath({ name }) {
      const others = entries.filter((entry) => !isAutoConf(entry.sourcefile));
      return winningEntries(others).get(name.toLowerCase())?.setting ?? null;
    },
    refuses(setting, value) {
      if (NOT_IN_FILE.has(setting.name.toLowerCase()))
        return "can't be set in a configuration file";
      if (setting.source === "command line")
        return "is set on the server's command line, which wins over the configuration; change it where the server is started";
      if (value !== null && isList(setting.name) && listElements(textOf(value)).length === 0)
        return "can't be emptied by ALTER SYSTEM; take it out with null, and out of postgresql.conf";
      return undefined;
    },
    mayWrite: (values) => mayWrite(server, [...values.keys()]),
    async write(values) {
      for (const [name, value] of values) {
        const parts = value === null ? null : partsOf(name, textOf(value), pg.info.version_num);
        const { rows } = await pg.ask(STATEMENT, [name, parts], { signal: ctx.signal });
        await pg.query(String(rows[0]?.["sql"]), [], {
          timeoutMs: STATEMENT_MS,
          signal: ctx.signal,
          alone: true,
        });
      }
      await pg.ask("SELECT pg_reload_conf()", [], { signal: ctx.signal });
    },
    async confirm(values, patience = PATIENCE_MS) {
      const ends = ctx.clock.monotonic() + patience;
      for (;;) {
        entries = await readFileEntries(pg, ctx.signal);
        const now = await readSettings(pg, ctx.signal);
        const faults = faultsOf(values, now, entries);
        if (faults.length === 0) {
          await opensSessions(ctx, "the server", () => another(ctx));
          return confirmed(values, now, entries);
        }
        if (ctx.clock.monotonic() >= ends) throw notInForce(faults, entries, now);
        await ctx.clock.sleep(POLL_MS, ctx.signal);
      }
    },
  };
}

/** The values after TO: the elements of a list one by one, since a single text would become a single name. */
function partsOf(name: string, text: string, version: number): string[] {
  // A plain text before 14.
  if (name === "unix_socket_directories" && version < 140000) return [text];
  return isList(name) ? listElements(text) : [text];
}

interface Server {
  ctx: StepContext;
  pg: PgSession;
  rights: { [name: string]: unknown };
}

function refusePatroni(settings: ReadonlyMap<string, Setting>): void {
  if (!isRunByPatroni((name) => settings.get(name)?.source)) return;
  throw new PgdbaError(
    "step_refused",
    "Patroni runs this server; ALTER SYSTEM would change one member and no other",
    {
      hint: "Name Patroni's REST API in the cluster's file (`patroni: {endpoints: [http://host:8008]}`), and the cluster with --cluster.",
    },
  );
}

/** The GRANTs that the role still needs to set these with ALTER SYSTEM, from 15. */
async function grantsToWrite(
  { ctx, pg, rights }: Server,
  names: readonly string[],
): Promise<string[]> {
  const me = String(rights["me"]);
  const reload =
    rights["reload"] === true ? [] : [`GRANT EXECUTE ON FUNCTION pg_reload_conf() TO ${me}`];
  if (pg.info.superuser) return reload;
  const { rows } = await pg.ask(NOT_GRANTED, [names], { signal: ctx.signal });
  return [
    ...reload,
    ...rows.map((row) => `GRANT ALTER SYSTEM ON PARAMETER ${String(row["name"])} TO ${me}`),
  ];
}

async function mayWrite(server: Server, names: readonly string[]): Promise<void> {
  const { pg, rights } = server;
  if (rights["forbidden"] === true) {
    throw new PgdbaError(
      "step_refused",
      "The server forbids ALTER SYSTEM (allow_alter_system is off)",
      {
        hint: "The configuration is managed elsewhere then: change the setting there.",
      },
    );
  }
  if (!pg.info.superuser && pg.info.version_num < 150000) {
    throw new PgdbaError("insufficient_privilege", `${pg.info.user} may not use ALTER SYSTEM`, {
      hint: "Before PostgreSQL 15 only a superuser may.",
    });
  }
  const missing = await grantsToWrite(server, names);
  if (missing.length === 0) return;
  throw new PgdbaError(
    "insufficient_privilege",
    `${pg.info.user} may not change all of these settings`,
    {
      hint: `As a superuser: ${missing.join("; ")}.`,
      data: { grants: missing },
    },
  );
}
