-- Locks the tables of pgdba.tables (quoted names), which is tried for as many milliseconds as pgdba.lock_ms says. The server itself measures, so that
-- a client that is held up between two statements makes no wait longer.
DO $pgdba$
DECLARE
  tables text[] := current_setting('pgdba.tables')::text[];
  until timestamptz := clock_timestamp() + current_setting('pgdba.lock_ms')::float8 * interval '1 ms';
  -- Who waits looks for a deadlock once, after deadlock_timeout.
  safe_ms float8 := (SELECT s.setting::float8 / 4 FROM pg_catalog.pg_settings s WHERE s.name = 'deadlock_timeout');
  missed text;
  began timestamptz;
  calm boolean;
  ms float8;
BEGIN
  LOOP
    BEGIN
      began := clock_timestamp();
      calm := NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE NOT l.granted);
      FOR n IN 1 .. cardinality(tables) LOOP
        missed := tables[n];
        -- Nothing is held yet, then little time has gone by since nobody waited, else there is no waiting.
        ms := CASE WHEN n = 1 THEN extract(epoch FROM until - clock_timestamp()) * 1000
                   WHEN calm THEN safe_ms - extract(epoch FROM clock_timestamp() - began) * 1000 ELSE 0 END;
        PERFORM set_config('lock_timeout', greatest(1, floor(ms))::bigint || 'ms', true);
        EXECUTE 'LOCK TABLE ONLY ' || missed || ' IN ACCESS EXCLUSIVE MODE' || CASE WHEN n > 1 AND ms < 1 THEN ' NOWAIT' ELSE '' END;
      END LOOP;
      EXIT;
    EXCEPTION WHEN lock_not_available THEN
      -- The block's locks are let go of.
      IF clock_timestamp() >= until THEN RAISE; END IF;
      tables := missed || array_remove(tables, missed);
    END;
    PERFORM pg_sleep(0.02);
  END LOOP;
END $pgdba$
