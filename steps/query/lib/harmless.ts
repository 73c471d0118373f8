/**
 * Volatile functions whose effect ends with the transaction, or that have none: they may run under ANALYZE. Source: PostgreSQL's
 * pg_proc.dat, `provolatile => 'v'`, read one by one; what reads or writes files, other sessions, sequences (but see below), advisory
 * locks, replication or large objects is left out, and so is what runs a text as SQL (query_to_xml, ts_stat).
 */
export const BUILTIN: ReadonlySet<string> = new Set(
  `random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday
   currval lastval pg_relation_size pg_table_size pg_indexes_size
   pg_total_relation_size pg_database_size pg_tablespace_size pg_sequence_last_value pg_lock_status
   pg_prepared_xact pg_is_in_recovery pg_current_wal_lsn pg_last_wal_receive_lsn pg_last_wal_replay_lsn
   pg_last_xact_replay_timestamp pg_blocking_pids tsvector_update_trigger tsvector_update_trigger_column suppress_redundant_updates_trigger`.split(
    /\s+/,
  ),
);

/** The same for functions of extensions, by extension. */
export const EXTENSIONS: Readonly<Record<string, readonly string[]>> = {
  "uuid-ossp": ["uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"],
  pgcrypto: ["gen_random_bytes", "gen_random_uuid", "gen_salt"],
  pg_stat_statements: ["pg_stat_statements", "pg_stat_statements_info"],
  moddatetime: ["moddatetime"],
};

/** Moves a sequence for good, which is worth a warning and no refusal. */
export const SEQUENCES: ReadonlySet<string> = new Set(["nextval"]);
