import { PgdbaError } from "../../../engine/errors.ts";
import { quoteName } from "../../../providers/planner/twin/names.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/** What the server knows of a table that is looked after. */
export interface Relation {
  /** As SQL writes it, schema included. */
  name: string;
  /** As the planner counts them. */
  rows: number;
  dead: number;
  /** Transactions and multixacts since the oldest one that its rows, or those of its TOAST table, still name. */
  age: number;
  mxid_age: number;
  /** With its TOAST table and without its indexes. */
  bytes: number;
  vacuums: number;
  analyzes: number;
  /** Changes since it was last analysed. */
  changed: number;
  /** False where the server counts nothing: with track_counts off, and for a partitioned table without partitions. */
  counted: boolean;
}

/**
 * Of a partitioned table the counters are those of its last partition, which the server comes to last: it counts no vacuum of the
 * table itself, and before 14 neither its ANALYZE nor its rows.
 */
const RELATION = `SELECT c.oid::regclass::text AS bare, r.rolname AS owner,
  pg_has_role(c.relowner, 'USAGE') OR pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE')
    OR CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(c.oid, 'MAINTAIN') ELSE false END AS may,
  coalesce(CASE WHEN c.relkind = 'p' AND c.reltuples <= 0 THEN l.rows END, greatest(c.reltuples, pg_stat_get_live_tuples(c.oid)))::float8 AS rows, (pg_stat_get_dead_tuples(c.oid) + coalesce(pg_stat_get_dead_tuples(t.oid), 0))::float8 AS dead,
  greatest(CASE WHEN c.relfrozenxid <> '0' THEN age(c.relfrozenxid) END, age(t.relfrozenxid), 0)::float8 AS age,
  greatest(CASE WHEN c.relminmxid <> '0' THEN mxid_age(c.relminmxid) END, mxid_age(t.relminmxid), 0)::float8 AS mxid_age,
  coalesce(pg_table_size(c.oid), 0)::float8 AS bytes, pg_stat_get_vacuum_count(coalesce(l.last, c.oid))::float8 AS vacuums,
  pg_stat_get_analyze_count(coalesce(l.last, c.oid))::float8 AS analyzes, coalesce(l.changed, pg_stat_get_mod_since_analyze(c.oid))::float8 AS changed,
  current_setting('track_counts')::bool AND (c.relkind <> 'p' OR l.last IS NOT NULL) AS counted
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
  LEFT JOIN LATERAL (SELECT (array_agg(x.oid ORDER BY p.at DESC))[1] AS last, sum(greatest(x.reltuples, pg_stat_get_live_tuples(x.oid))) AS rows, sum(pg_stat_get_mod_since_analyze(x.oid)) AS changed
    FROM pg_partition_tree(c.oid) WITH ORDINALITY p(relid, parentrelid, isleaf, level, at) JOIN pg_class x ON x.oid = p.relid AND x.relkind = 'r') l ON c.relkind = 'p'
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'm', 'p')`;

const TIMEOUT_MS = 30_000;

/**
 * The table of this name, which the user may look after.
 * @throws PgdbaError step_refused when there is none | insufficient_privilege: the server would only warn, and leave it out | timeout
 */
export async function relationOf(
  pg: PgSession,
  schema: string,
  table: string,
  lockTimeoutMs: number | undefined,
): Promise<Relation> {
  const name = quoteName(schema, table);
  const { rows } = await pg.query(RELATION, [schema, table], {
    timeoutMs: TIMEOUT_MS,
    lockTimeoutMs,
  });
  const [row] = rows;
  if (row === undefined)
    throw new PgdbaError("step_refused", `There is no table ${name} in this database`, {
      hint: "Check the name, and the database (--database).",
    });
  const { bare, owner, may, ...facts } = row;
  if (may !== true)
    throw new PgdbaError(
      "insufficient_privilege",
      `${pg.info.user} may not look after ${String(bare)}, which belongs to ${String(owner)}`,
      {
        hint: `Run it as ${String(owner)} or as a superuser (--user)${pg.info.version_num >= 170_000 ? `, or let a superuser GRANT MAINTAIN ON ${String(bare)} TO "${pg.info.user}"` : ""}.`,
      },
    );
  return { name, ...(facts as Omit<Relation, "name">) };
}
