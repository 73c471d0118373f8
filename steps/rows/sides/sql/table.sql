-- A table as far as its rows are to be read or written: its columns, and the unique keys whose order tells its rows apart.
select n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
  pg_catalog.row_security_active(c.oid) as hidden,
  greatest(case when c.relkind = 'r' then c.reltuples else
    (select sum(greatest(l.reltuples, 0)) from pg_catalog.pg_partition_tree(c.oid) p join pg_catalog.pg_class l on l.oid = p.relid where p.isleaf) end, 0)::float8 as rows,
  (select pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'short', a.attlen > 0,
      'whole', a.atttypid in (20, 21, 23), 'type', pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.typname),
      'generated', a.attgenerated <> '', 'identity', a.attidentity) order by a.attnum)
    from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  (select pg_catalog.json_agg(k.columns order by k.first desc, k.width, k.name)
    from (select i.indisprimary as first, i.indnkeyatts as width, x.relname as name, pg_catalog.json_agg(a.attname order by u.place) as columns
      from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
      cross join unnest(i.indkey::int2[]) with ordinality u (number, place)
      left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = u.number and a.attnotnull
      where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and u.place <= i.indnkeyatts
      group by i.indexrelid, i.indisprimary, i.indnkeyatts, x.relname
      having count(a.attnum) = i.indnkeyatts) k) as keys,
  (select pg_catalog.json_agg(pg_catalog.json_build_object('name', g.tgname, 'function', g.tgfoid::pg_catalog.regproc::text,
      'insert', (g.tgtype & 4) > 0, 'update', (g.tgtype & 16) > 0) order by g.tgname)
    from pg_catalog.pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled in ('O', 'A')) as triggers
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = pg_catalog.to_regclass($1)
