import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type { Check } from "./document.ts";
import type { Facts } from "./facts.ts";
import { inVersions } from "./select.ts";

export interface Limits {
  timeoutMs: number;
  lockTimeoutMs: number;
  signal: AbortSignal;
}

export interface Result {
  check: Check;
  rows: JsonObject[];
  /** It gave more rows than are kept. */
  truncated: boolean;
  error: PgdbaError | null;
}

/** Rows kept of one check, whatever its SQL gives. */
export const MAX_ROWS = 2000;

/** Catalogue queries are short: compiling them or starting workers for them costs more than it saves. */
const PRELUDE =
  "select set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)";

/**
 * Runs the checks on one connection, in as few round trips as there are checks that fail, plus one. Each check has the statement
 * timeout for itself, and one that fails does not keep the others from running.
 * @throws PgdbaError connection_failed, or the signal's reason
 */
export async function runChecks(
  pg: PgSession,
  checks: readonly Check[],
  facts: Facts,
  limits: Limits,
): Promise<Result[]> {
  const results: Result[] = [];
  let rest = checks;
  while (rest.length > 0) {
    const statements = [
      PRELUDE,
      ...rest.flatMap((check) => [searchPath(check, facts), wrapped(check, facts)]),
    ];
    const { columns, error } = await pg.readBatch(statements, limits);
    const ended = rest.slice(0, Math.max(0, Math.floor((columns.length - 1) / 2)));
    ended.forEach((check, index) => {
      const rows = JSON.parse(columns[2 * index + 2]?.[0] ?? "[]") as JsonObject[];
      const truncated = rows.length > MAX_ROWS;
      results.push({ check, rows: rows.slice(0, MAX_ROWS), truncated, error: null });
    });
    const failed = rest[ended.length];
    if (failed !== undefined) {
      if (error === null)
        throw new PgdbaError("internal", "A batch of checks ended early without an error");
      results.push({ check: failed, rows: [], truncated: false, error });
    }
    rest = rest.slice(ended.length + 1);
  }
  return results;
}

/** Nobody's objects but the server's own are found by an unqualified name, least of all in a schema that others can write to. */
function searchPath(check: Check, facts: Facts): string {
  const schema =
    check.extension === undefined ? undefined : facts.extensions[check.extension]?.schema;
  const path = ["pg_catalog", ...(schema === undefined ? [] : [schema]), "pg_temp"].join(", ");
  return `select set_config('search_path', '${path.replaceAll("'", "''")}', true)`;
}

/** The rows arrive as one JSON value, so that every check has one row and one column. */
function wrapped(check: Check, facts: Facts): string {
  const sql =
    check.variants?.find(({ versions }) => inVersions(versions, facts.version))?.sql ?? check.sql;
  return `select /* pgdba */ coalesce(json_agg(t), '[]') from (select * from (\n${sql.replace(/;\s*$/, "")}\n) q limit ${MAX_ROWS + 1}) t`;
}

/** The server has no such thing, or not for this user: the check can't say anything here. */
const UNAVAILABLE: Record<string, string> = {
  "42501": "privilege",
  "42883": "unavailable",
  "42P01": "unavailable",
  "42704": "unavailable",
  "0A000": "unavailable",
  "55000": "unavailable",
};

/** The reason to skip a check whose SQL failed with `error`, or undefined when it is a failure. Source: appendix A of the manual. */
export function skipCode(error: PgdbaError): string | undefined {
  return UNAVAILABLE[sqlstateOf(error) ?? ""];
}
