select count(*) as files, coalesce(sum(size), 0)::bigint as bytes from pg_ls_waldir()
