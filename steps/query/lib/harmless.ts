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

/** Moves a sequence for good: worth a warning where a column default does it, since an INSERT that is tried out has no other way. */
export const SEQUENCES: ReadonlySet<string> = new Set(["nextval"]);

/**
 * Functions said to be STABLE or IMMUTABLE that run what a text names: SQL, a table or view, a domain by its name or OID. From
 * pg_proc.dat, `provolatile => 's'` and `'i'`, and from contrib; ts_stat and ts_rewrite with a text are volatile.
 */
const RUNS_TEXT =
  /^((table|schema|database|cursor|query)_to_xml\w*|pg_input_(is_valid|error_info)|(domain|array|record|range|multirange)_(in|recv)|satisfies_hash_partition|fmgr_\w+_validator)$/;

const EXTENSIONS_RUN_TEXT: Readonly<Record<string, RegExp>> = {
  tablefunc: /^(crosstab|connectby)/,
  xml2: /^xpath_table$/,
  dblink: /./,
  postgres_fdw: /./,
};

/** Whether a function of the server's, or of an extension, does what a text tells it. */
export function runsText(name: string, extension: string | null): boolean {
  return extension === null
    ? RUNS_TEXT.test(name)
    : (EXTENSIONS_RUN_TEXT[extension]?.test(name) ?? false);
}

/** What CREATE TYPE … AS RANGE makes, in language internal. */
export const CONSTRUCTOR = /^(multi)?range_constructor[0-3]$/;
