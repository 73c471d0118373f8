const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/**
 * Volatile functions whose effect ends with the transaction, or that have none: they may run under ANALYZE. Source: PostgreSQL's
 * pg_proc.dat, `provolatile => 'v'`, read one by one; what reads or writes files, other sessions, sequences (but see below), advisory
 * locks, replication or large objects is left out, and so is what runs a text as SQL (query_to_xml, ts_stat).
 */
export const BUILTIN = words(
  `random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday
   currval lastval pg_relation_size pg_table_size pg_indexes_size
   pg_total_relation_size pg_database_size pg_tablespace_size pg_sequence_last_value pg_lock_status
   pg_prepared_xact pg_is_in_recovery pg_current_wal_lsn pg_last_wal_receive_lsn pg_last_wal_replay_lsn
   pg_last_xact_replay_timestamp pg_blocking_pids tsvector_update_trigger tsvector_update_trigger_column suppress_redundant_updates_trigger`,
);

/** Volatile functions that only read, or wait: what a step that reads may call besides. Files are listed, and their contents not read. */
export const READS: ReadonlySet<string> = BUILTIN.union(
  words(
    `amvalidate array_sample array_shuffle current_query currtid currtid2 lo_get pg_available_wal_summaries
     pg_collation_actual_version pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system pg_current_logfile
     pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_database_collation_actual_version pg_get_aios
     pg_get_backend_memory_contexts pg_get_loaded_modules pg_get_multixact_members pg_get_sequence_data pg_get_shmem_allocations
     pg_get_shmem_allocations_numa pg_get_wait_events pg_get_wal_replay_pause_state pg_get_wal_resource_managers
     pg_get_wal_summarizer_state pg_hba_file_rules pg_ident_file_mappings pg_is_in_backup pg_is_wal_replay_paused
     pg_isolation_test_session_is_blocked pg_jit_available pg_last_committed_xact pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir
     pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_summariesdir pg_ls_tmpdir pg_ls_waldir
     pg_notification_queue_usage pg_partition_ancestors pg_partition_tree pg_replication_origin_session_is_setup
     pg_safe_snapshot_blocking_pids pg_show_all_file_settings pg_show_replication_origin_status pg_sleep pg_sleep_for pg_sleep_until
     pg_stat_clear_snapshot pg_stat_file pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_io pg_stat_get_recovery_prefetch
     pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
     pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
     pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
     pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned
     pg_stat_get_xact_tuples_updated pg_stat_have_stats pg_wal_summary_contents pg_xact_commit_timestamp
     pg_xact_commit_timestamp_origin pg_xact_status timezone txid_status`,
  ),
);

/**
 * Functions that act, or read what lies outside of the database; what is volatile and stands in none of these lists is refused as
 * well, but only the server knows of it. For `pgdba lint`, which has none.
 */
const ACTS = words(
  `binary_upgrade_add_sub_rel_state binary_upgrade_create_empty_extension binary_upgrade_logical_slot_has_caught_up
   binary_upgrade_replorigin_advance brin_desummarize_range brin_summarize_new_values brin_summarize_range gin_clean_pending_list lo_close lo_creat lo_create lo_export lo_from_bytea lo_import lo_lseek lo_lseek64 lo_open
   lo_put lo_tell lo_tell64 lo_truncate lo_truncate64 lo_unlink loread lowrite nextval pg_advisory_lock pg_advisory_lock_shared
   pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared
   pg_backup_start pg_backup_stop pg_cancel_backend pg_clear_attribute_stats pg_clear_relation_stats
   pg_copy_logical_replication_slot pg_copy_physical_replication_slot pg_create_logical_replication_slot
   pg_create_physical_replication_slot pg_create_restore_point pg_drop_replication_slot pg_export_snapshot
   pg_extension_config_dump pg_import_system_collations pg_log_backend_memory_contexts pg_log_standby_snapshot
   pg_logical_emit_message pg_logical_slot_get_binary_changes pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes
   pg_logical_slot_peek_changes pg_nextoid pg_notify pg_promote pg_read_binary_file pg_read_file pg_read_file_old pg_reload_conf
   pg_replication_origin_advance pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_progress
   pg_replication_origin_session_progress pg_replication_origin_session_reset pg_replication_origin_session_setup
   pg_replication_origin_xact_reset pg_replication_origin_xact_setup pg_replication_slot_advance pg_restore_attribute_stats
   pg_restore_relation_stats pg_rotate_logfile pg_rotate_logfile_old pg_start_backup pg_stat_force_next_flush pg_stat_reset
   pg_stat_reset_backend_stats pg_stat_reset_replication_slot pg_stat_reset_shared pg_stat_reset_single_function_counters
   pg_stat_reset_single_table_counters pg_stat_reset_slru pg_stat_reset_subscription_stats pg_stop_backup
   pg_stop_making_pinned_objects pg_switch_wal pg_sync_replication_slots pg_terminate_backend pg_try_advisory_lock
   pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_wal_replay_pause pg_wal_replay_resume
   plpgsql_call_handler plpgsql_validator set_config setseed setval ts_stat
   pg_stat_statements_reset pg_file_write pg_file_unlink pg_file_rename pg_file_sync pg_logdir_ls pg_prewarm autoprewarm_dump_now
   autoprewarm_start_worker pg_buffercache_evict pg_buffercache_evict_all pg_buffercache_evict_relation pg_truncate_visibility_map
   heap_force_kill heap_force_freeze hypopg_create_index hypopg_drop_index hypopg_reset postgres_fdw_disconnect
   postgres_fdw_disconnect_all`,
);
const ACTING_FAMILIES = /^(dblink|binary_upgrade_set_)/;

/** True when a function of this name is known, without any server, to do more than reading. */
export function acts(name: string): boolean {
  return ACTS.has(name) || ACTING_FAMILIES.test(name);
}

/** Volatile functions of extensions that only read or whose effect ends with the transaction, by extension. */
export const EXTENSIONS: Readonly<Record<string, ReadonlySet<string>>> = {
  "uuid-ossp": words("uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4"),
  pgcrypto: words("gen_random_bytes gen_random_uuid gen_salt"),
  pg_stat_statements: words("pg_stat_statements pg_stat_statements_info"),
  moddatetime: words("moddatetime"),
  pgstattuple: words(
    "pgstattuple pgstattuple_approx pgstatindex pgstatginindex pgstathashindex pg_relpages",
  ),
  pg_buffercache: words(
    "pg_buffercache_pages pg_buffercache_summary pg_buffercache_usage_counts pg_buffercache_numa_pages pg_buffercache_os_pages",
  ),
  pg_freespacemap: words("pg_freespace"),
  pg_visibility: words(
    "pg_visibility pg_visibility_map pg_visibility_map_summary pg_check_frozen pg_check_visible",
  ),
  pageinspect: words(
    `get_raw_page page_header page_checksum fsm_page_contents heap_page_items heap_page_item_attrs tuple_data_split
     heap_tuple_infomask_flags bt_metap bt_page_stats bt_multi_page_stats bt_page_items brin_page_type brin_metapage_info
     brin_revmap_data brin_page_items gin_metapage_info gin_page_opaque_info gin_leafpage_items gist_page_opaque_info
     gist_page_items gist_page_items_bytea hash_page_type hash_page_stats hash_page_items hash_bitmap_info hash_metapage_info`,
  ),
  pgrowlocks: words("pgrowlocks"),
  amcheck: words("bt_index_check bt_index_parent_check verify_heapam gin_index_check"),
  pg_walinspect: words(
    "pg_get_wal_record_info pg_get_wal_records_info pg_get_wal_records_info_till_end_of_wal pg_get_wal_block_info pg_get_wal_stats pg_get_wal_stats_till_end_of_wal pg_get_wal_fpi_info",
  ),
  hypopg: words("hypopg hypopg_get_indexdef hypopg_relation_size"),
  pg_wait_sampling: words(
    "pg_wait_sampling_get_current pg_wait_sampling_get_history pg_wait_sampling_get_profile",
  ),
  pg_stat_kcache: words("pg_stat_kcache"),
  pg_qualstats: words("pg_qualstats pg_qualstats_names"),
  pg_stat_monitor: words("pg_stat_monitor_internal pg_stat_monitor_version"),
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

/** True when a function of the server's, or of an extension, does what a text tells it. */
export function runsText(name: string, extension: string | null): boolean {
  return extension === null
    ? RUNS_TEXT.test(name)
    : (EXTENSIONS_RUN_TEXT[extension]?.test(name) ?? false);
}

/** The names of the functions that CREATE TYPE … AS RANGE makes, in language internal. */
export const CONSTRUCTOR = /^(multi)?range_constructor[0-3]$/;
