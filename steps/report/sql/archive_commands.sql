-- Who may not read them sees no rows.
select s.name, s.setting as value from pg_settings s
where s.name in ('archive_command', 'archive_library', 'restore_command') and s.setting not in ('', '(disabled)')
