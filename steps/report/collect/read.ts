import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { isConflict, isUnconvertible, sqlstateOf } from "../../../providers/postgres/errors.ts";
import { MARK } from "../../../providers/postgres/own.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { again, type Open, TRIES } from "../../sql/again.ts";
import server from "../sql/server.sql" with { type: "text" };
import { SECTIONS, type Section } from "./sections.ts";
import type { Missing } from "./shape.ts";

export interface Limits {
  timeoutMs: number;
  lockTimeoutMs: number;
  signal: AbortSignal;
}

/** The answers of the server, section by section. */
export interface Answers {
  /** The one row of server.sql. */
  server: JsonObject;
  rows: ReadonlyMap<string, JsonObject[]>;
  missing: Missing[];
}

interface Extension {
  name: string;
  /** Quoted. */
  schema: string;
  usable: boolean;
}

/** Catalogue queries are short: compiling them or starting workers for them costs more than it saves. */
const PRELUDE =
  "select /* pgdba */ pg_catalog.set_config('jit', 'off', true), pg_catalog.set_config('max_parallel_workers_per_gather', '0', true)";

/**
 * Asks everything in two round trips, and one more for each section that fails: that is `missing` then, and keeps no other from
 * being read. What replay on a standby cuts off is asked again.
 * @throws PgdbaError unsupported before PostgreSQL 13 | connection_failed, or the signal's reason
 */
export async function readAnswers(open: Open, limits: Limits): Promise<Answers> {
  const about = await again(async () => readServer(await open(), limits));
  const user = String(about["user_quoted"]);
  const grant = `grant pg_monitor to ${user};`;
  const extensions = new Map(
    (about["extensions"] as unknown as Extension[]).map((each) => [each.name, each]),
  );
  const version = Math.floor(Number(about["version_num"]) / 10_000);
  const applicable = SECTIONS.filter(
    ({ from = 0, to = 99, role, extension }) =>
      version >= from &&
      version <= to &&
      (role === undefined || role === about["role"]) &&
      (extension === undefined || extensions.has(extension)),
  );
  const missing: Missing[] = [];
  const readable = applicable.filter(({ name, extension }) => {
    const found = extension === undefined ? undefined : extensions.get(extension);
    if (found === undefined || found.usable) return true;
    const reason = `${user} may not use the schema ${found.schema} that ${found.name} is in`;
    missing.push({
      section: name,
      reason,
      hint: `grant usage on schema ${found.schema} to ${user};`,
      partial: false,
    });
    return false;
  });
  const rows = new Map<string, JsonObject[]>();
  let rest = readable;
  const tries = new Map<string, number>();
  while (rest.length > 0) {
    const statements = rest.map(({ sql, extension }) =>
      wrapped(sql.replaceAll(':"extension"', extensions.get(extension ?? "")?.schema ?? "")),
    );
    const pg = await open();
    const { columns, error } = await pg.readBatch([PRELUDE, PATH, ...statements], limits);
    const ended = Math.max(0, columns.length - 2);
    rest.slice(0, ended).forEach(({ name }, at) => rows.set(name, parseRows(columns[at + 2])));
    const failed = rest[ended];
    if (failed !== undefined && isConflict(error)) {
      const tried = (tries.get(failed.name) ?? 0) + 1;
      tries.set(failed.name, tried);
      if (tried < TRIES) {
        rest = rest.slice(ended);
        continue;
      }
    } else if (error !== null && !pg.alive()) throw error;
    rest = rest.slice(ended + 1);
    if (failed === undefined) continue;
    if (failed.without !== undefined && isUnconvertible(error)) {
      missing.push({ ...missed(failed, error, grant), partial: true, ...WITHOUT_TEXTS });
      rest = [{ ...failed, sql: failed.without }, ...rest];
    } else missing.push(missed(failed, error, grant));
  }
  if (about["monitor"] !== true) {
    for (const { name, hidden, counted } of readable) {
      const count = counted === undefined ? null : Number(rows.get(name)?.[0]?.[counted] ?? 0);
      if (hidden === undefined || !rows.has(name) || count === 0) continue;
      const what = count === null ? hidden : `${hidden} (${count})`;
      const reason = `${String(about["user"])} is no member of pg_monitor and does not see ${what}`;
      missing.push({ section: name, reason, hint: grant, partial: true });
    }
  }
  return { server: about, rows, missing };
}

/** The one row of server.sql. */
async function readServer(pg: PgSession, limits: Limits): Promise<JsonObject> {
  if (pg.info.version_num < 130000) {
    throw new PgdbaError(
      "unsupported",
      `A report needs PostgreSQL 13 or later; this is ${pg.info.version}`,
      { hint: "Upgrade the server; its version has been without fixes for years." },
    );
  }
  const { columns, error } = await pg.readBatch([PATH, wrapped(server)], limits);
  if (error !== null) throw error;
  return parseRows(columns[1])[0] ?? {};
}

function missed({ name }: Section, error: PgdbaError | null, grant: string): Missing {
  if (error === null) throw new PgdbaError("internal", "A batch ended early without an error");
  const denied = sqlstateOf(error) === "42501";
  const hint = denied ? grant : (error.hint ?? null);
  return { section: name, reason: error.message, hint, partial: false };
}

/** An unqualified name must find only the server's own objects, never one in a schema that others can write to. */
const PATH = `select ${MARK} pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)`;

/** A single text that is not valid in this database's encoding makes pg_stat_statements give none. */
const WITHOUT_TEXTS = {
  reason:
    "pg_stat_statements holds a text of another database that is not valid in this one's encoding, so it gives no texts at all",
  hint: "`pgdba query slow-log` says which database that is, and what to do.",
};

/** The rows arrive as one JSON value, so that every section has one row and one column. */
function wrapped(sql: string): string {
  return `select ${MARK} coalesce(json_agg(q), '[]') from (\n${sql}\n) q`;
}

function parseRows(column: (string | null)[] | undefined): JsonObject[] {
  return JSON.parse(column?.[0] ?? "[]") as JsonObject[];
}
