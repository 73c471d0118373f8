select s.name, current_setting(s.name) as value, s.boot_val as default_raw, s.unit, s.vartype, s.source, s.context, s.category,
       s.sourcefile || ':' || s.sourceline as "where", s.pending_restart
from pg_settings s
where (s.source not in ('default', 'override', 'client', 'session', 'interactive') or s.pending_restart)
  and s.context <> 'internal'
order by s.category, s.name
