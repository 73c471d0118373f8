with objects as (
  select format('TABLE %I.%I', n.nspname, c.relname) as object, c.relowner as owner, case c.relkind when 'S' then 'SEQUENCE' else 'TABLE' end as word, c.oid as relation, c.relacl as acl,
         format('%I.%I', n.nspname, c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
  union all
  select format('ROUTINE %s', r.name), p.proowner, 'ROUTINE', 0, p.proacl, r.name
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace, lateral (select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name) r
  where n.nspname not in ('pg_catalog', 'information_schema')
  union all
  select format('TYPE %I.%I', n.nspname, t.typname), t.typowner, 'TYPE', 0, t.typacl, format('%I.%I', n.nspname, t.typname)
  from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname not in ('pg_catalog', 'information_schema')
)
select o.object, pg_get_userbyid(o.owner)::text as owner,
       array(select format('GRANT %s%s ON %s %s TO %I%s', x.privilege_type, x.columns, o.word, o.name, $2::text, case when x.is_grantable then ' WITH GRANT OPTION' else '' end)
             from (select a.privilege_type, a.is_grantable, a.grantee, '' as columns from aclexplode(o.acl) a
                   union all
                   select a.privilege_type, a.is_grantable, a.grantee, format(' (%I)', t.attname) from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = o.relation) x
             where x.grantee = (select r.oid from pg_roles r where r.rolname = $2) and x.grantee <> o.owner order by 1) as grants
from unnest($1::text[]) with ordinality w(object, nth) join objects o on o.object = w.object
order by w.nth
