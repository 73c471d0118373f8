select count(*) filter (where relkind in ('r', 'p')) as tables, count(*) filter (where relkind in ('i', 'I')) as indexes,
       count(*) filter (where relkind = 'm') as materialized_views, count(*) filter (where relkind = 'v') as views,
       count(*) filter (where relkind = 'S') as sequences, count(*) filter (where relkind = 'f') as foreign_tables
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
