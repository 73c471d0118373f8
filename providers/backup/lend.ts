/**
 * `pgdba work lend`: a server on a recovered data directory that is thrown away afterwards, for a pgdba that takes one table or one database out of it. It
 * says on its first line of standard output what is there and how it is reached, and goes on until it is told to end. Nobody's being there
 * ends it, too: whoever asked for it may have been killed.
 */
import { rm } from "node:fs/promises";
import { PgdbaError } from "../../engine/errors.ts";
import { quoteLiteral, quoteName } from "../planner/twin/names.ts";
import { freePort } from "../nodes/embedded/server.ts";
import type { PgSession } from "../postgres/session.ts";
import type { WorkIo } from "./jobs.ts";
import { type Alone, standAlone } from "./logical/alone.ts";
import { LOCALE_COLUMNS, localeFrom } from "./logical/locale.ts";
import type { TableRows } from "./logical/rows.ts";
import type { DatabaseLocale } from "./record.ts";
import { giveAccounts } from "./recover/accounts.ts";
import { ScratchServer, type ServerPlace } from "./recover/scratch-server.ts";
import { heldSettings, quietSettings } from "./recover/settings.ts";
import { failedOf, type Failed } from "./work.ts";

export interface LendOrder extends ServerPlace {
  version: number;
  recorded: Record<string, string>;
  database: string;
  /** Made to stand by itself; without it the whole database is taken. */
  table: { schema: string; table: string; name: string; mark: string } | null;
  /** For programs that don't reach its socket: it is also on the loopback, where this role logs in. */
  network: { user: string; verifier: string } | null;
  /** Without anybody for so long, it ends. */
  idle_seconds: number;
}

export interface Lent {
  /** The folder of its socket. */
  folder: string;
  port: number;
  user: string;
  table: Alone | null;
  /** Of the whole database. */
  database: {
    locale: DatabaseLocale;
    rows: TableRows[];
    unlogged: string[];
    roles: string[];
  } | null;
}

/** The first line that it says. */
export type LentWord = { lent: Lent } | { error: Failed };

const LOOK_MS = 500;
/** It was stopped well before, so that it starts at once; on a busy machine later. */
const START_MS = 300_000;
const DATABASES = `SELECT datname AS name, datallowconn AS open, ${LOCALE_COLUMNS}
  FROM pg_database d WHERE NOT datistemplate ORDER BY datname`;
const TABLES = `SELECT n.nspname AS schema, c.relname AS name, c.relpersistence = 'u' AS unlogged FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2`;
/** Owners, and whoever has privileges. */
const ROLES = `SELECT DISTINCT a.rolname AS role FROM pg_shdepend s JOIN pg_authid a ON a.oid = s.refobjid
  WHERE s.refclassid = 'pg_authid'::regclass AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1`;
const GUESTS =
  "SELECT count(*)::int AS guests FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

export const talks = true;

export async function run(order: LendOrder, io: WorkIo): Promise<null> {
  const say = (word: LentWord) => io.output(new TextEncoder().encode(`${JSON.stringify(word)}\n`));
  try {
    await lend(order, io, (lent) => say({ lent }));
  } catch (error) {
    if (io.signal.aborted) return null;
    await say({ error: failedOf(error, "step_failed") });
    throw error;
  }
  return null;
}

async function lend(
  order: LendOrder,
  io: WorkIo,
  ready: (lent: Lent) => Promise<void>,
): Promise<void> {
  const { data, programs, folder, owner, user, network, version } = order;
  const server = new ScratchServer({
    data,
    programs,
    folder,
    owner,
    user,
    settings: {
      ...heldSettings(order.recorded, null),
      ...quietSettings(version),
      archive_mode: "off",
      autovacuum: "off",
      // It is thrown away.
      fsync: "off",
      synchronous_commit: "off",
      full_page_writes: "off",
    },
    ...(network ? { network: { port: await freePort(), user: network.user } } : {}),
  });
  try {
    await server.start();
    const session = await server.opened("postgres", io.signal, START_MS);
    try {
      if (network) await giveAccounts(session, [{ ...network, attributes: "SUPERUSER" }]);
      const locale = await localeOf(session, order.database);
      const lent = { folder, port: server.port, user: order.user };
      await ready({ ...lent, ...(await prepared(server, order, locale, io)) });
      await untilNobodyIsThere(server, session, order.idle_seconds * 1000, io.signal);
    } finally {
      await session.close();
    }
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function prepared(
  server: ScratchServer,
  { database, table }: LendOrder,
  locale: DatabaseLocale,
  io: WorkIo,
): Promise<Pick<Lent, "table" | "database">> {
  const session = await server.opened(database, io.signal);
  try {
    await endPrepared(session);
    await disarm(session);
    if (table !== null) {
      io.tell({ text: `taking out ${table.schema}.${table.table}` });
      return { table: await standAlone(session, table), database: null };
    }
    const { rows: tables } = await session.ask(TABLES, [], { maxRows: 1_000_000 });
    const rows: TableRows[] = [];
    for (const [at, { schema, name }] of tables.entries()) {
      io.tell({ done: at, total: tables.length, unit: "tables", text: "counting rows" });
      const counted = await session.ask(
        `SELECT count(*)::text AS rows FROM ONLY ${quoteName(String(schema), String(name))}`,
        [],
        { signal: io.signal },
      );
      rows.push({
        schema: String(schema),
        table: String(name),
        rows: Number(counted.rows[0]!["rows"]),
      });
    }
    const unlogged = tables
      .filter((one) => one["unlogged"] === true)
      .map(({ schema, name }) => `${String(schema)}.${String(name)}`);
    const roles = (await session.ask(ROLES)).rows.map(({ role }) => String(role));
    return { table: null, database: { locale, rows, unlogged, roles } };
  } finally {
    await session.close();
  }
}

/** What nobody has committed up to that moment is not there, and holds no lock. */
async function endPrepared(session: PgSession): Promise<void> {
  const { rows } = await session.ask(
    "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
  );
  for (const { gid } of rows)
    await session.query(`ROLLBACK PREPARED ${quoteLiteral(String(gid))}`, [], {
      alone: true,
      changes: true,
    });
}

/** No code of the database acts on what is done here. */
async function disarm(session: PgSession): Promise<void> {
  if (session.info.version_num >= 170_000) return;
  const { rows } = await session.ask(
    "SELECT quote_ident(evtname) AS name FROM pg_event_trigger WHERE evtenabled <> 'D'",
  );
  for (const { name } of rows)
    await session.query(`ALTER EVENT TRIGGER ${String(name)} DISABLE`, [], { changes: true });
}

/** @throws PgdbaError invalid_param */
async function localeOf(session: PgSession, database: string): Promise<DatabaseLocale> {
  const { rows } = await session.ask(DATABASES);
  const found = rows.find(({ name, open }) => name === database && open === true);
  if (found === undefined)
    throw new PgdbaError("invalid_param", `There is no database ${database} at that moment`, {
      hint: `Names are case-sensitive. There is ${rows.map(({ name }) => String(name)).join(", ")}.`,
    });
  return localeFrom(found);
}

async function untilNobodyIsThere(
  server: ScratchServer,
  session: PgSession,
  idleMs: number,
  signal: AbortSignal,
): Promise<void> {
  let seen = performance.now();
  while (!signal.aborted && server.ended === null) {
    const { rows } = await session.ask(GUESTS);
    if (Number(rows[0]!["guests"]) > 0) seen = performance.now();
    if (performance.now() - seen > idleMs) return;
    await Bun.sleep(LOOK_MS);
  }
}
