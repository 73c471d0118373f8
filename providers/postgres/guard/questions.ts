/**
 * The guard's questions to the catalogues, asked with `search_path = pg_catalog`: nobody else's function or operator may answer them.
 * OIDs below 16384 were made by initdb (FirstNormalObjectId, transam.h). What an ordinary role can't make is not suspected.
 */

/**
 * The schemas that are searched; relations ($1) and types ($2) by name as the statement has them (quoted), and whether any of them is
 * not there: the one question that needs the session's own search_path.
 */
export const NAMED = `WITH given AS (
  SELECT pg_catalog.to_regclass(r)::pg_catalog.oid AS oid, true AS relation FROM pg_catalog.unnest($1::pg_catalog.text[]) AS p (r)
  UNION ALL
  SELECT pg_catalog.to_regtype(t)::pg_catalog.oid, false FROM pg_catalog.unnest($2::pg_catalog.text[]) AS p (t))
SELECT pg_catalog.current_schemas(true)::pg_catalog.text[] AS places,
  ARRAY(SELECT oid::pg_catalog.text FROM given WHERE relation AND oid IS NOT NULL) AS relations,
  EXISTS (SELECT FROM given WHERE oid IS NULL) AS unknown`;

/** Relations by schema ($1) and name ($2). */
export const PLACED = `SELECT c.oid::text AS oid FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
JOIN pg_namespace n ON n.nspname = wanted.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name`;

/** Relations ($1) and types ($2) that may be meant by a word. */
export const WORDS = `SELECT 'relation' AS what, relname AS word, oid::text AS oid FROM pg_class
WHERE relname = ANY ($1::text[]) AND oid >= 16384 AND relkind IN ('r', 'p', 'v', 'f')
UNION ALL
SELECT 'type', typname, oid::text FROM pg_type WHERE typname = ANY ($2::text[]) AND oid >= 16384`;

/**
 * Functions by name ($1). Of an aggregate the functions it is made of. An extension is
 * believed for what only a superuser can write: its owner may be anybody, and may add functions to it. A body is that of BEGIN ATOMIC
 * where the source is empty.
 */
export const FUNCTIONS = `SELECT p.oid::text AS oid, p.proname AS name, n.nspname AS schema, p.oid::regprocedure::text AS shown, p.oid < 16384 AS builtin,
  p.provolatile = 'v' AS volatile, p.proretset AS set, p.prokind = 'a' AS aggregate, l.lanname AS language,
  CASE WHEN NOT l.lanpltrusted THEN e.extname END AS extension, 2281 = ANY (p.proargtypes::oid[]) AS internal, p.prosrc AS symbol,
  EXISTS (SELECT FROM pg_type t WHERE t.oid = p.proargtypes[0] AND t.typtype IN ('c', 'd', 'p')) AS takes_row,
  CASE WHEN p.oid >= 16384 AND p.prokind <> 'a' AND l.lanpltrusted THEN
    CASE p.prosrc WHEN '' THEN pg_get_functiondef(p.oid) ELSE pg_get_function_arguments(p.oid) || ' ' || p.prosrc END END AS source,
  CASE WHEN p.proargdefaults IS NOT NULL AND p.oid >= 16384 THEN pg_get_function_arguments(p.oid) END AS arguments,
  CASE WHEN p.oid >= 16384 AND p.prokind = 'a' THEN ARRAY(SELECT f.proname::text FROM pg_proc f
    WHERE f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn))
    ELSE '{}' END AS parts,
  ARRAY(SELECT DISTINCT t.oid::text FROM unnest(ARRAY[p.prorettype, a.aggtranstype, a.aggmtranstype] || p.proargtypes::oid[] || p.proallargtypes) AS t (oid)
    WHERE t.oid >= 16384) AS types
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE p.proname = ANY ($1::text[]) ORDER BY p.provolatile = 'v' DESC, shown`;

/**
 * Functions behind the operators named $1, other than built-in ones, as far as they may be meant: where an operand is of a type
 * involved ($2), where the name is nobody else's or comes with a schema ($3), and where operands of built-in types fit: rows fit
 * composite types, values those of domains, and beside an operand of such a type a literal may be of any other. A built-in operator
 * that takes two operands of that type is preferred, so that then there is nothing to fear.
 */
export const OPERATORS = `SELECT o.oid::text AS oid, o.oprname AS operator, n.nspname AS schema, p.proname AS function, o.oprrest <> 0 OR o.oprjoin <> 0 AS estimated
FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_namespace n ON n.oid = o.oprnamespace
CROSS JOIN LATERAL (SELECT bool_and(as_type IS NOT NULL) AS fit, bool_and(x.oid = as_type) AS builtin, count(DISTINCT as_type) AS types,
    bool_or(as_type IS NOT NULL AND NOT EXISTS (SELECT FROM pg_operator b
      WHERE b.oprname = o.oprname AND b.oprleft = as_type AND b.oprright = as_type AND b.oid < 16384)) AS alone
  FROM (SELECT t.oid, CASE WHEN t.oid < 16384 THEN t.oid WHEN t.typtype = 'c' THEN 'record'::regtype::oid
      WHEN t.typtype = 'd' THEN t.typbasetype WHEN t.typcategory = 'A' THEN 'anyarray'::regtype::oid END AS as_type
    FROM pg_type t WHERE t.oid IN (o.oprleft, o.oprright)) AS x) AS operands
WHERE o.oprname = ANY ($1::text[]) AND o.oid >= 16384 AND (operands.alone
  OR operands.fit AND (operands.builtin OR operands.types > 1 OR o.oprleft = 0)
  OR o.oprleft = ANY ($2::oid[]) OR o.oprright = ANY ($2::oid[]) OR o.oprname = ANY ($3::text[])
  OR NOT EXISTS (SELECT FROM pg_operator b WHERE b.oprname = o.oprname AND b.oid < 16384))`;

/** Operators that the grammar writes in another way or not at all: CASE x WHEN, IN, USING, NULLIF, IS DISTINCT FROM, BETWEEN, LIKE, SIMILAR. */
export const UNWRITTEN = ["=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~"];

/** As an array's text. */
function grammar(): string {
  return `{${UNWRITTEN.map((name) => `"${name}"`).join(",")}}`;
}

/**
 * The objects that names may stand for, without the server's own that only read: relations ($1, quoted), functions ($2), operators
 * ($3), words that may be types ($4), and what matters always. It is asked under the session's own search_path, so that everything in it has its schema.
 */
export const SUSPECTS = `WITH functions AS (
  SELECT p.proname, n.nspname, p.oid OPERATOR(pg_catalog.<) 16384::pg_catalog.oid AS builtin, p.provolatile OPERATOR(pg_catalog.=) 'v' AS volatile,
    (SELECT e.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
      WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AND d.objid OPERATOR(pg_catalog.=) p.oid
        AND d.deptype OPERATOR(pg_catalog.=) 'e' AND NOT l.lanpltrusted) AS extension
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
  JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
  WHERE p.proname OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.name[])),
answers (what, name, schema, builtin, volatile, extension) AS (
SELECT 'place', s, NULL, true, false, NULL FROM pg_catalog.unnest(pg_catalog.current_schemas(true)::pg_catalog.text[]) AS p (s)
UNION ALL
SELECT 'relation', r, NULL, false, false, NULL FROM pg_catalog.unnest($1::pg_catalog.text[]) AS p (r)
WHERE pg_catalog.to_regclass(r)::pg_catalog.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
UNION ALL
SELECT 'function', proname::pg_catalog.text, nspname::pg_catalog.text, builtin, volatile, extension::pg_catalog.text FROM functions
UNION ALL
SELECT 'operator', o.oprname::pg_catalog.text, CASE WHEN o.oprname OPERATOR(pg_catalog.=) ANY ($3::pg_catalog.name[]) THEN n.nspname::pg_catalog.text END, false, false, NULL
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace
JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) o.oprcode JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE o.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND (p.provolatile OPERATOR(pg_catalog.=) 'v' OR NOT l.lanname OPERATOR(pg_catalog.=) ANY ('{c,internal}'::pg_catalog.name[]))
  AND (o.oprname OPERATOR(pg_catalog.=) ANY ($3::pg_catalog.name[]) OR o.oprname OPERATOR(pg_catalog.=) ANY ('${grammar()}'::pg_catalog.name[]))
UNION ALL
SELECT 'type', t.typname::pg_catalog.text, NULL, false, false, NULL FROM pg_catalog.pg_type t
WHERE t.typname OPERATOR(pg_catalog.=) ANY ($4::pg_catalog.name[]) AND t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
UNION ALL
SELECT 'always', 'cast', NULL, false, false, NULL FROM pg_catalog.pg_cast c
WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND c.castsource OPERATOR(pg_catalog.<) 16384::pg_catalog.oid
  AND (c.castcontext OPERATOR(pg_catalog.=) 'i' OR c.casttarget OPERATOR(pg_catalog.<) 16384::pg_catalog.oid)
UNION ALL
SELECT 'always', 'operator class', NULL, false, false, NULL FROM pg_catalog.pg_opclass o
WHERE o.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND o.opcdefault AND o.opcintype OPERATOR(pg_catalog.<) 16384::pg_catalog.oid)
SELECT * FROM answers`;
