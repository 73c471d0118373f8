import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { isConflict, sqlstateOf } from "../../../providers/postgres/errors.ts";
import { asNamed, identifiersOf, placeIdentifiers } from "../../sql/input.ts";
import { refuseChecks } from "../check/acting.ts";
import type { Check } from "../check/check.ts";
import type { Facts } from "./facts.ts";
import { again, type Open, TRIES } from "../../sql/again.ts";
import { has, inVersions } from "./select.ts";
import type { Limits } from "./limits.ts";

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
  "select /* pgdba */ pg_catalog.set_config('jit', 'off', true), pg_catalog.set_config('max_parallel_workers_per_gather', '0', true)";

/**
 * Runs the checks on one connection, in as few round trips as there are checks that fail, plus one. Each check has the statement
 * timeout for itself, and one that fails does not keep the others from running. What replay on a standby cuts off is run again.
 * @throws PgdbaError connection_failed, or the signal's reason
 */
export async function runChecks(
  open: Open,
  checks: readonly Check[],
  facts: Facts,
  limits: Limits,
): Promise<Result[]> {
  const runnable = checks.map((check) => ({ check, ...sqlOf(check, facts) }));
  const refused = await again(async () => refuseChecks(await open(), runnable, limits));
  const results: Result[] = [...refused].map(([check, error]) => ({
    check,
    rows: [],
    truncated: false,
    error,
  }));
  let rest = runnable.filter(({ check }) => !refused.has(check));
  const tries = new Map<Check, number>();
  while (rest.length > 0) {
    const statements = [PRELUDE, ...rest.flatMap(({ sql, path }) => [path, wrapped(sql)])];
    const { columns, error } = await (await open()).readBatch(statements, limits);
    const ended = rest.slice(0, Math.max(0, Math.floor((columns.length - 1) / 2)));
    ended.forEach(({ check }, index) => {
      const rows = JSON.parse(columns[2 * index + 2]?.[0] ?? "[]") as JsonObject[];
      const truncated = rows.length > MAX_ROWS;
      results.push({ check, rows: rows.slice(0, MAX_ROWS), truncated, error: null });
    });
    const failed = rest[ended.length];
    if (failed !== undefined) {
      if (error === null)
        throw new PgdbaError("internal", "A batch of checks ended early without an error");
      const tried = (tries.get(failed.check) ?? 0) + 1;
      tries.set(failed.check, tried);
      if (isConflict(error) && tried < TRIES) {
        rest = rest.slice(ended.length);
        continue;
      }
      results.push({ check: failed.check, rows: [], truncated: false, error });
    }
    rest = rest.slice(ended.length + 1);
  }
  return results.toSorted((a, b) => checks.indexOf(a.check) - checks.indexOf(b.check));
}

/**
 * The SQL for this server, and what sets the search_path for it. Nobody's objects but the server's own are found by an unqualified name,
 * least of all in a schema that others can write to: an extension's schema is searched only for a check that does not name it
 * (`:"extension"`).
 */
function sqlOf(check: Check, facts: Facts): { sql: string; path: string } {
  const variant = check.variants?.find(
    ({ versions, lacking }) =>
      inVersions(versions, facts.version) && (lacking === undefined || !has(lacking, facts)),
  );
  const text = (variant?.sql ?? check.sql).replace(/;\s*$/, "");
  const quoted = facts.extensions[check.extension ?? ""]?.schema;
  const schema = quoted?.startsWith('"') ? quoted.slice(1, -1).replaceAll('""', '"') : quoted;
  const sql =
    schema !== undefined && identifiersOf(text).includes("extension")
      ? placeIdentifiers(text, { ...asNamed(text), extension: schema })
      : text;
  const searched = quoted === undefined || sql !== text ? [] : [quoted];
  const path = ["pg_catalog", ...searched, "pg_temp"].join(", ");
  return {
    sql,
    path: `select /* pgdba */ pg_catalog.set_config('search_path', '${path.replaceAll("'", "''")}', true)`,
  };
}

/** The rows arrive as one JSON value, so that every check has one row and one column. */
function wrapped(sql: string): string {
  return `select /* pgdba */ coalesce(json_agg(t), '[]') from (select * from (\n${sql}\n) q limit ${MAX_ROWS + 1}) t`;
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
