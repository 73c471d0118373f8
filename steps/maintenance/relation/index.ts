import { PgdbaError } from "../../../engine/errors.ts";
import { quoteName } from "../../../providers/planner/twin/names.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/** An index that may be rebuilt. */
export interface IndexFacts {
  /** As SQL writes it, schema included; `table` likewise. */
  name: string;
  table: string;
  oid: number;
  valid: boolean;
  /** What a rebuild that failed has left behind, under a name that PostgreSQL made up. */
  leftover: boolean;
  bytes: number;
}

const INDEX = `SELECT c.oid::int8::float8 AS oid, i.indisvalid AND i.indisready AND i.indislive AS valid, c.relkind = 'I' AS partitioned, i.indisexclusion AS exclusion,
  n.nspname = 'pg_catalog' AS catalog, c.relname ~ '_cc(new|old)[0-9]*$' AND NOT (i.indisvalid AND i.indisready AND i.indislive) AS leftover,
  coalesce(pg_relation_size(c.oid), 0)::float8 AS bytes, format('%I.%I', tn.nspname, t.relname) AS table, r.rolname AS owner,
  pg_has_role(t.relowner, 'USAGE') OR pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE')
    OR CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(t.oid, 'MAINTAIN') ELSE false END AS may,
  (SELECT pid FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid OR p.relid = t.oid AND p.datid = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1) AS builder
  FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace JOIN pg_roles r ON r.oid = t.relowner
  WHERE n.nspname = $1 AND c.relname = $2`;

/** What a rebuild of the index has left behind: on its table, invalid, named after it (its name cut to what fits). */
const LEFTOVERS = `SELECT n.nspname AS schema, c.relname AS name
  FROM pg_index o JOIN pg_class oc ON oc.oid = o.indexrelid JOIN pg_index i ON i.indrelid = o.indrelid AND i.indexrelid <> o.indexrelid
  JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE oc.oid = format('%I.%I', $1::text, $2::text)::regclass AND NOT (i.indisvalid AND i.indisready AND i.indislive) AND c.relname ~ '_cc(new|old)[0-9]*$'
    AND starts_with(oc.relname, regexp_replace(c.relname, '_cc(new|old)[0-9]*$', ''))
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid AND p.datid = (SELECT oid FROM pg_database WHERE datname = current_database()))`;

const TIMEOUT_MS = 30_000;

/** @throws PgdbaError step_refused for one that can't be rebuilt while others write | insufficient_privilege | timeout */
export async function indexOf(
  pg: PgSession,
  schema: string,
  index: string,
  lockTimeoutMs: number | undefined,
): Promise<IndexFacts> {
  const name = quoteName(schema, index);
  const limits = { timeoutMs: TIMEOUT_MS, lockTimeoutMs };
  const [row] = (await pg.query(INDEX, [schema, index], limits)).rows;
  if (row === undefined)
    throw new PgdbaError("step_refused", `There is no index ${name} in this database`, {
      hint: "Check the name, and the database (--database): pgdba index list shows them.",
    });
  const refused = refusalOf(row, name);
  if (refused !== null) throw refused;
  if (row["may"] !== true)
    throw new PgdbaError(
      "insufficient_privilege",
      `${pg.info.user} may not rebuild ${name}, which belongs to ${String(row["owner"])}`,
      { hint: `Run it as ${String(row["owner"])} or as a superuser (--user).` },
    );
  return {
    name,
    table: String(row["table"]),
    oid: Number(row["oid"]),
    valid: row["valid"] === true,
    leftover: row["leftover"] === true,
    bytes: Number(row["bytes"]),
  };
}

function refusalOf(row: Record<string, unknown>, name: string): PgdbaError | null {
  const refuse = (message: string, hint: string, retryable = false): PgdbaError =>
    new PgdbaError("step_refused", message, { hint, retryable });
  if (row["partitioned"] === true)
    return refuse(
      `${name} is an index of a partitioned table, and has nothing in it itself`,
      `Rebuild those of its partitions: pgdba maintenance reindex --table '${String(row["table"])}'; where it is invalid: pgdba index attach '${name}'`,
    );
  if (row["catalog"] === true)
    return refuse(
      `${name} is an index of a system catalogue, which can't be rebuilt while others work`,
      `In a maintenance window: REINDEX INDEX ${name};`,
    );
  if (row["exclusion"] === true)
    return refuse(
      `${name} is the index of an exclusion constraint, which can't be rebuilt while others work`,
      `In a maintenance window, for it locks out whoever writes: REINDEX INDEX ${name};`,
    );
  if (row["builder"] != null)
    return refuse(
      `Process ${String(row["builder"])} builds an index of ${String(row["table"])} now`,
      "Wait for it to end, then run again.",
      true,
    );
  return null;
}

/** @returns the names of what rebuilds of the index have left behind */
export async function leftoversOf(
  pg: PgSession,
  schema: string,
  index: string,
): Promise<{ schema: string; name: string }[]> {
  const { rows } = await pg.query(LEFTOVERS, [schema, index], { timeoutMs: TIMEOUT_MS });
  return rows as unknown as { schema: string; name: string }[];
}
