/** Questions about who could change what a statement reaches while it is looked at. Asked with `search_path = pg_catalog`. */

/**
 * For relations ($1) and types ($2): the ones that can be locked, quoted; whether some can't be, so that everything has to stand still
 * (materialized views, foreign tables, composite types; domains, whose checks are nobody's lock); and whether casts may be on their way
 * to types that others own.
 */
export const CLASSIFY = `WITH mine AS (SELECT oid FROM pg_roles WHERE rolsuper OR rolname IN (session_user, current_user)),
typed AS (
  SELECT coalesce(e.typrelid, t.typrelid) AS relation, coalesce(e.typtype, t.typtype) AS kind, coalesce(e.typowner, t.typowner) AS owner
  FROM pg_type t LEFT JOIN pg_type e ON t.typelem <> 0 AND e.oid = t.typelem WHERE t.oid = ANY ($2::oid[]) AND t.oid >= 16384),
touched AS (SELECT c.oid, c.relkind FROM pg_class c WHERE c.oid >= 16384 AND c.oid = ANY ($1::oid[] || ARRAY(SELECT relation FROM typed))
  AND NOT (c.relowner IN (SELECT oid FROM mine) AND c.relkind IN ('m', 'f', 'c')))
SELECT coalesce((SELECT json_agg(oid::text) FROM touched WHERE relkind IN ('r', 'p', 'v')), '[]') AS oids,
  coalesce((SELECT json_agg(oid::regclass::text) FROM touched WHERE relkind IN ('r', 'p', 'v')), '[]') AS names,
  EXISTS (SELECT FROM touched WHERE relkind IN ('m', 'f', 'c'))
    OR EXISTS (SELECT FROM typed WHERE kind = 'd' AND owner NOT IN (SELECT oid FROM mine)) AS whole,
  EXISTS (SELECT FROM typed WHERE kind <> 'c' AND owner NOT IN (SELECT oid FROM mine)) AS casts`;

/** The catalogues on which a statement of known names rests besides its tables: functions, operators, casts, partitions, statistics. */
export const SOME = ["pg_proc", "pg_operator", "pg_cast", "pg_inherits", "pg_statistic_ext"];

/** All that a name may come to mean, and all that may be attached to it. */
export const ALL = [
  ...SOME,
  "pg_namespace",
  "pg_class",
  "pg_type",
  "pg_attribute",
  "pg_attrdef",
  "pg_constraint",
  "pg_index",
  "pg_rewrite",
  "pg_policy",
  "pg_trigger",
  "pg_partitioned_table",
  "pg_foreign_table",
  "pg_foreign_server",
];

/** The catalogues ($1) that another session has locked. Those locked for longer than it takes to make something come first. */
export const BLOCKED = `SELECT c.relname AS name FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE c.relname = ANY ($1::name[]) AND c.relnamespace = 'pg_catalog'::regnamespace AND l.mode <> 'AccessShareLock' AND l.granted AND l.pid <> pg_backend_pid()
ORDER BY l.mode = 'RowExclusiveLock' LIMIT 1`;

/**
 * Transactions of others in this database that were open before the catalogues stood still, and that may have changed them: all that
 * write ($1), or those that show it. Who makes something leaves a lock on its own role until it commits (shdepLockAndCheckObject, in
 * pg_shdepend.c), who renames or drops something one on the object, who changes a table ($2) one on that. What was replaced and is not
 * committed is found by the locks on the rows.
 */
export const IN_FLIGHT = `WITH here AS (SELECT oid FROM pg_database WHERE datname = current_database()),
writers AS (
  SELECT l.transactionid::text AS xid, l.virtualtransaction AS holder, a.usename AS role, a.pid::text AS who
  FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN here ON a.datid = here.oid LEFT JOIN pg_roles r ON r.oid = a.usesysid
  WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid() AND r.rolsuper IS FALSE
  UNION ALL
  SELECT p.transaction::text, '-1/' || p.transaction, p.owner, 'prepared transaction ' || p.gid
  FROM pg_prepared_xacts p LEFT JOIN pg_roles r ON r.rolname = p.owner WHERE p.database = current_database() AND r.rolsuper IS NOT TRUE)
SELECT w.xid, w.role, w.who FROM writers w WHERE $1 OR EXISTS (SELECT FROM pg_locks l
  WHERE l.virtualtransaction = w.holder AND (l.locktype = 'object' AND (l.classid = 'pg_authid'::regclass OR l.mode = 'AccessExclusiveLock')
    OR l.locktype = 'relation' AND l.relation = ANY ($2::oid[])
      AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')))`;

/** The ones of these transactions ($1) that have not ended. */
export const STILL = `SELECT l.transactionid::text AS xid FROM pg_locks l
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.transactionid::text = ANY ($1::text[])`;
