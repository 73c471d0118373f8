/**
 * Types that matter always: those that values of built-in types turn into unasked where an operator takes them. A function or a column
 * that takes them brings them along by itself.
 */
export const ALWAYS = `SELECT 'type' AS what, casttarget::text AS value, format_type(casttarget, NULL::int4) AS by FROM pg_cast
WHERE castcontext = 'i' AND castsource < 16384 AND casttarget >= 16384
  AND EXISTS (SELECT FROM pg_operator o WHERE casttarget IN (o.oprleft, o.oprright))
UNION ALL
SELECT 'function', p.proname, 'a cast to ' || format_type(c.casttarget, NULL::int4) FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc
WHERE c.oid >= 16384 AND c.castsource < 16384 AND c.casttarget < 16384
UNION ALL
SELECT 'support', p.proname, 'operator class ' || quote_ident(o.opcname) FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
JOIN pg_amproc f ON f.amprocfamily = o.opcfamily JOIN pg_proc p ON p.oid = f.amproc
WHERE o.oid >= 16384 AND o.opcdefault AND o.opcintype < 16384 AND m.amname IN ('btree', 'hash') AND p.oid >= 16384
UNION ALL
SELECT 'support', p.proname, 'operator class ' || quote_ident(o.opcname) FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
JOIN pg_amop f ON f.amopfamily = o.opcfamily JOIN pg_operator x ON x.oid = f.amopopr JOIN pg_proc p ON p.oid = x.oprcode
WHERE o.oid >= 16384 AND o.opcdefault AND o.opcintype < 16384 AND m.amname IN ('btree', 'hash') AND p.oid >= 16384`;

/**
 * The objects that belong to types ($1): the types they are made of and that are made of them, and all that is called without being written:
 * casts, checks of domains, support functions of operator classes, conversion from and to text.
 */
export const MADE_OF = `WITH wanted AS (SELECT t.* FROM pg_type t WHERE t.oid = ANY ($1::oid[])),
ranges AS (SELECT rngtypid, rngsubtype, rngcanonical, rngsubdiff, (to_jsonb(r) ->> 'rngmultitypid')::oid AS multi FROM pg_range r),
classes AS (SELECT w.oid, o.opcfamily, quote_ident(o.opcname) AS name FROM wanted w JOIN pg_opclass o ON o.opcintype = w.oid
  JOIN pg_am m ON m.oid = o.opcmethod WHERE m.amname IN ('btree', 'hash')),
functions (type, what, oid, by) AS (
  SELECT w.oid, 'support', f.oid::oid, 'type ' || format_type(w.oid, NULL::int4) FROM wanted w CROSS JOIN LATERAL unnest(ARRAY[w.typinput, w.typoutput, w.typmodin]::oid[]) AS f (oid)
  UNION ALL
  SELECT w.oid, 'support', f.oid, 'type ' || format_type(w.oid, NULL::int4) FROM wanted w JOIN ranges r ON w.oid IN (r.rngtypid, r.multi)
  CROSS JOIN LATERAL unnest(ARRAY[r.rngcanonical, r.rngsubdiff]::oid[]) AS f (oid)
  UNION ALL
  SELECT c.oid, 'support', f.amproc, 'operator class ' || c.name FROM classes c JOIN pg_amproc f ON f.amprocfamily = c.opcfamily
  UNION ALL
  SELECT c.oid, 'support', o.oprcode, 'operator class ' || c.name FROM classes c JOIN pg_amop f ON f.amopfamily = c.opcfamily JOIN pg_operator o ON o.oid = f.amopopr
  UNION ALL
  SELECT w.oid, 'function', c.castfunc, 'a cast to ' || format_type(c.casttarget, NULL::int4) FROM wanted w JOIN pg_cast c ON w.oid IN (c.castsource, c.casttarget))
SELECT DISTINCT f.type::text AS type, f.what, p.proname::text AS value, f.by FROM functions f JOIN pg_proc p ON p.oid = f.oid WHERE p.oid >= 16384
UNION ALL
SELECT k.contypid::text, 'check', pg_get_constraintdef(k.oid), 'domain ' || format_type(k.contypid, NULL::int4)
FROM pg_constraint k WHERE k.contypid = ANY ($1::oid[])
UNION ALL
SELECT DISTINCT m.type::text, 'type', m.oid::text, format_type(m.oid, NULL::int4) FROM (
  SELECT w.oid AS type, t.oid FROM wanted w CROSS JOIN LATERAL unnest(ARRAY[w.typelem, w.typarray, w.typbasetype]) AS t (oid)
  UNION ALL
  SELECT w.oid, a.atttypid FROM wanted w JOIN pg_attribute a ON a.attrelid = w.typrelid AND a.attnum > 0
  UNION ALL
  SELECT w.oid, t.oid FROM wanted w JOIN ranges r ON w.oid IN (r.rngtypid, r.multi) CROSS JOIN LATERAL unnest(ARRAY[r.rngtypid, r.rngsubtype, r.multi]) AS t (oid)) AS m
WHERE m.oid >= 16384`;
