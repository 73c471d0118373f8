/** Of the table `c` of a query on pg_class: the columns of its primary key, in their order; null where it has none. */
export const PRIMARY_KEY = `(SELECT array_agg(a.attname::text ORDER BY u.n) FROM pg_index p, unnest(p.indkey::int2[]) WITH ORDINALITY u(attnum, n), pg_attribute a
  WHERE p.indrelid = c.oid AND p.indisprimary AND u.n <= p.indnkeyatts AND a.attrelid = c.oid AND a.attnum = u.attnum)`;
