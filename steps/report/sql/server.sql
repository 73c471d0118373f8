select current_setting('server_version') as release, current_setting('server_version_num')::int as version_num,
       case when pg_is_in_recovery() then 'standby' else 'primary' end as role,
       current_database() as database, current_user as "user", quote_ident(current_user) as user_quoted,
       pg_has_role('pg_monitor', 'usage') as monitor,
       coalesce(host(inet_server_addr()), 'local') || ':' || current_setting('port') as node,
       nullif(current_setting('cluster_name'), '') as cluster_name,
       to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as taken_at,
       to_char(pg_postmaster_start_time() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as started_at,
       round(extract(epoch from now() - pg_postmaster_start_time()))::bigint as uptime_seconds,
       -- What is made later has a higher one, until they begin anew after four thousand million.
       greatest((select max(oid) from pg_class)::bigint, (select max(oid) from pg_database)::bigint) as newest_oid,
       current_setting('data_checksums') = 'on' as data_checksums,
       current_setting('block_size')::int as block_size,
       (select pg_encoding_to_char(encoding) from pg_database where datname = current_database()) as encoding,
       (select coalesce(json_agg(json_build_object('name', e.extname, 'version', e.extversion, 'schema', quote_ident(n.nspname),
                'usable', has_schema_privilege(n.oid, 'usage')) order by e.extname), '[]')
        from pg_extension e join pg_namespace n on n.oid = e.extnamespace) as extensions
