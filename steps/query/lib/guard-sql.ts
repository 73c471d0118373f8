/** The guard's questions to the catalogues. OIDs below 16384 were made by initdb (FirstNormalObjectId, transam.h). */

/** Functions by name ($1), those already judged ($2) left out. Of an aggregate the functions it is made of. */
export const FUNCTIONS = `SELECT p.oid::int8 AS oid, p.proname AS name, p.oid::regprocedure::text AS shown, p.oid < 16384 AS builtin,
  p.provolatile = 'v' AS volatile, l.lanname AS language, e.extname AS extension,
  CASE WHEN p.oid >= 16384 AND e.oid IS NULL AND p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END AS source,
  CASE WHEN p.oid >= 16384 AND p.prokind = 'a' THEN ARRAY(SELECT f.proname::text FROM pg_aggregate a
    JOIN pg_proc f ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
    WHERE a.aggfnoid = p.oid) ELSE '{}' END AS parts
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE p.proname = ANY ($1::text[]) AND p.oid <> ALL ($2::oid[]) ORDER BY p.provolatile = 'v' DESC, shown`;

/** Views and foreign tables by name ($1), those already seen ($2) left out. */
export const RELATIONS = `SELECT c.relkind AS kind, c.oid::regclass::text AS shown,
  CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) ELSE '' END AS definition
FROM pg_class c WHERE c.relname = ANY ($1::text[]) AND c.relkind IN ('v', 'f') AND c.oid >= 16384
  AND c.oid::regclass::text <> ALL ($2::text[])`;

/** Functions that implement operators ($1) other than the built-in ones. */
export const OPERATORS = `SELECT o.oprname AS operator, p.proname AS function FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
WHERE o.oprname = ANY ($1::text[]) AND o.oid >= 16384`;

/** What no plan shows: the functions behind casts, and the checks and defaults of domains. */
export const HIDDEN = `SELECT quote_ident(p.proname) || '(' AS text, 'a cast to ' || format_type(c.casttarget, NULL) AS by
FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc WHERE c.oid >= 16384
UNION ALL
SELECT pg_get_constraintdef(k.oid), 'domain ' || format_type(k.contypid, NULL) FROM pg_constraint k WHERE k.contypid <> 0 AND k.oid >= 16384
UNION ALL
SELECT t.typdefault, 'type ' || format_type(t.oid, NULL) FROM pg_type t WHERE t.typdefaultbin IS NOT NULL AND t.oid >= 16384`;

/** What changing tables ($1 schemas, $2 names), their partitions, and what their foreign keys change in turn, evaluates; NULL for a foreign table. */
export const TOUCHED = `WITH RECURSIVE touched (oid) AS (
  SELECT c.oid FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
  JOIN pg_namespace n ON n.nspname = wanted.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
  UNION
  SELECT more.oid FROM touched t CROSS JOIN LATERAL (
    SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = t.oid
    UNION ALL
    SELECT conrelid FROM pg_constraint WHERE confrelid = t.oid AND contype = 'f'
      AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))) AS more)
SELECT NULL AS text, c.oid::regclass::text AS by FROM touched JOIN pg_class c USING (oid) WHERE c.relkind = 'f'
UNION ALL
SELECT pg_get_triggerdef(t.oid), 'trigger ' || quote_ident(t.tgname) || ' of ' || t.tgrelid::regclass
FROM touched JOIN pg_trigger t ON t.tgrelid = touched.oid WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT pg_get_constraintdef(k.oid), 'constraint ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass
FROM touched JOIN pg_constraint k ON k.conrelid = touched.oid WHERE k.contype IN ('c', 'x')
UNION ALL
SELECT pg_get_expr(d.adbin, d.adrelid), 'a default of ' || d.adrelid::regclass FROM touched JOIN pg_attrdef d ON d.adrelid = touched.oid
UNION ALL
SELECT coalesce(pg_get_expr(i.indexprs, i.indrelid), '') || ' ' || coalesce(pg_get_expr(i.indpred, i.indrelid), ''), 'index ' || i.indexrelid::regclass
FROM touched JOIN pg_index i ON i.indrelid = touched.oid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
UNION ALL
SELECT pg_get_expr(p.polwithcheck, p.polrelid), 'policy ' || quote_ident(p.polname) || ' of ' || p.polrelid::regclass
FROM touched JOIN pg_policy p ON p.polrelid = touched.oid WHERE p.polwithcheck IS NOT NULL`;
