/** Problems to plant, and what the health check must say of each. */

/** `sql` is sent to PostgreSQL from version `from` on; `finds` holds lines as `shortly` gives them, found under `thresholds`. */
export interface Plant {
  sql: string;
  finds: string[];
  from?: number;
  thresholds?: Record<string, Record<string, number>>;
}

/** Problems in one database, in this order; names are odd on purpose, and come back quoted in `finds`. */
export const PLANTS: Plant[] = [
  {
    sql: `create schema "Ödd ""Schema"; set search_path = "Ödd ""Schema", public;
      create table "Kun;de" (id int primary key, "E'mail" text, land text, n int);
      create index "dup 1" on "Kun;de" ("E'mail"); create index "dup 2" on "Kun;de" ("E'mail");
      create index on "Kun;de" ("E'mail" text_pattern_ops); create index on "Kun;de" ("E'mail" collate "C");
      create index on "Kun;de" ("E'mail") where id > 5; create index on "Kun;de" (land desc);`,
    finds: [`warning index-duplicate "Ödd ""Schema"."dup 2"`],
  },
  {
    sql: `create index "Préfixe" on "Kun;de" (land); create index "Whole" on "Kun;de" (land, n);`,
    finds: [`info index-redundant "Ödd ""Schema"."Préfixe"`],
  },
  {
    sql: `create table parent (id int primary key); insert into parent select generate_series(1, 100);
      create table child (id bigint primary key, "Ref" int, constraint "FK;1" foreign key ("Ref") references parent);
      insert into child select n, 1 + n % 100 from generate_series(1, 20000) n;`,
    finds: [
      `warning fk-without-index "FK;1" on "Ödd ""Schema".child`,
      `warning statistics-never "Ödd ""Schema".child`,
      `info vacuum-never "Ödd ""Schema".child`,
    ],
  },
  {
    sql: `create table "Off" (id int primary key, t text) with (autovacuum_enabled = off);`,
    finds: [`warning autovacuum-off-table "Ödd ""Schema"."Off"`],
  },
  {
    sql: `create table "Serial" (id serial primary key); alter sequence "Serial_id_seq" as bigint; select setval('"Serial_id_seq"', 2040109466);
      create sequence small as smallint; select setval('small', 26000); create sequence fine; select setval('fine', 2147483640);
      create sequence down increment -1 minvalue -100 maxvalue -1; select setval('down', -60);
      create sequence round minvalue 1 maxvalue 10 cycle; select setval('round', 10);`,
    finds: [
      `critical sequence-exhausted "Ödd ""Schema"."Serial_id_seq"`,
      `warning sequence-exhausted "Ödd ""Schema".small`,
      `info sequence-exhausted "Ödd ""Schema".down`,
    ],
  },
  {
    sql: `create table "High" (id int primary key); insert into "High" select 1800000000 + n from generate_series(1, 500) n; analyze "High";`,
    finds: [`warning integer-key-exhausted "Ödd ""Schema"."High"`],
  },
  {
    sql: `alter table child add constraint "Pos;" check (id > 0) not valid;`,
    finds: [`warning constraint-not-valid "Pos;" on "Ödd ""Schema".child`],
  },
  {
    sql: `alter table child add constraint "Lax" check (id > 1) not enforced;`,
    from: 18,
    finds: [`info constraint-not-enforced "Lax" on "Ödd ""Schema".child`],
  },
  {
    sql: `create table "No Key" (n int); create publication p for table "No Key"; create table "Also" (n int);`,
    finds: [
      `warning table-without-key "Ödd ""Schema"."No Key"`,
      `info table-without-key "Ödd ""Schema"."Also"`,
    ],
  },
  {
    sql: `create function nop() returns trigger language plpgsql as 'begin return new; end'; create trigger "Tr ig" before insert on child for each row execute function nop();
      alter table child disable trigger "Tr ig";`,
    finds: [`warning trigger-disabled "Tr ig" on "Ödd ""Schema".child`],
  },
  {
    sql: `create policy "Own" on "Kun;de" using (n = 1); create table locked (id int primary key); alter table locked enable row level security;`,
    finds: [
      `warning policy-without-rls "Ödd ""Schema"."Kun;de"`,
      `info rls-without-policy "Ödd ""Schema".locked`,
    ],
  },
  {
    sql: `create function "Def Iner"(text) returns int language sql security definer as 'select 1'; create function safe() returns int language sql security definer set search_path = pg_temp as 'select 1';`,
    finds: [`warning security-definer-path "Ödd ""Schema"."Def Iner"(text)`],
  },
  {
    sql: `create table "Part" (id int, t text) partition by range (id); create table part1 partition of "Part" for values from (0) to (20000);
      insert into "Part" select n, 'x' from generate_series(1, 15000) n; analyze part1; alter table "Part" add primary key (id);`,
    from: 14,
    finds: [`info statistics-partitioned "Ödd ""Schema"."Part"`],
  },
  {
    sql: `create table "Bloat" (id int primary key, t text) with (autovacuum_enabled = off); insert into "Bloat" select n, repeat(md5(n::text), 4) from generate_series(1, 120000) n;
      create index "bl ix" on "Bloat" (t);`,
    finds: [
      `info bloat-table "Ödd ""Schema"."Bloat"`,
      `info bloat-index "Ödd ""Schema"."bl ix"`,
      `warning statistics-stale "Ödd ""Schema"."Bloat"`,
    ],
  },
  {
    sql: `create table "Dead" (id int primary key, n int) with (autovacuum_enabled = off); insert into "Dead" select n, n from generate_series(1, 30000) n;`,
    finds: [`warning dead-rows "Ödd ""Schema"."Dead"`],
  },
  {
    sql: `create table "Scanned" (id int primary key, a int, b text) with (autovacuum_enabled = off); insert into "Scanned" select n, n, 'xxxxxxxxxxxxxxxx' || n from generate_series(1, 60000) n;
      create index "Un used" on "Scanned" (b);`,
    finds: [
      `info seq-scans "Ödd ""Schema"."Scanned"`,
      `info index-unused "Ödd ""Schema"."Un used"`,
    ],
  },
  {
    sql: `create table "Old" (id int primary key) with (autovacuum_freeze_max_age = 100000, autovacuum_enabled = off); insert into "Old" values (1);`,
    finds: [`warning freeze-overdue "Ödd ""Schema"."Old"`],
    thresholds: { "freeze-overdue": { warning: 50 } },
  },
  {
    sql: `create role "Sup er" login superuser; create role "M;d5" login password 'md5aabbccddeeff00112233445566778899' valid until '2100-01-01'; create role soon login valid until 'yesterday';
      create role "Files"; grant pg_read_server_files to "Files"; create role "Few" login connection limit 1 password 'few';`,
    finds: [
      `info superusers`,
      `warning password-expiring role soon`,
      `warning dangerous-grants role "Files"`,
      `info login-without-password role "Sup er"`,
      `critical connection-limit-role role "Few"`,
    ],
  },
  {
    sql: `create extension pg_stat_statements version '1.4'; create collation icu (provider = icu, locale = 'de'); create table col (t text collate icu primary key);
      update pg_collation set collversion = '0.1' where collname = 'icu';`,
    finds: [
      `info extension-outdated pg_stat_statements`,
      `critical collation-object collation "Ödd ""Schema".icu`,
    ],
  },
  {
    sql: "",
    from: 14,
    finds: [`warning password-md5 role "M;d5"`, "info wal-buffers-full"],
    thresholds: { "wal-buffers-full": { info: 0 } },
  },
  {
    sql: `grant create on schema public to public;`,
    from: 15,
    finds: ["warning public-create schema public"],
  },
  {
    sql: `create database "D;b" template template0 locale_provider icu icu_locale 'de' connection limit 1; update pg_database set datcollversion = '0.1' where datname = 'D;b';`,
    from: 15,
    finds: [`critical collation-database database "D;b"`],
  },
  {
    sql: `alter database postgres set enable_hashjoin = off; alter database postgres set zero_damaged_pages = on;`,
    finds: [
      "warning planner-methods-off enable_hashjoin",
      "critical dangerous-settings zero_damaged_pages",
    ],
  },
  {
    sql: `alter system set max_connections = 77`,
    finds: ["warning pending-restart max_connections"],
  },
];

/** To be planted last: it holds back vacuum, which the planting of others needs. */
export const HOLDERS: Plant = {
  sql: `select pg_create_physical_replication_slot('forgotten', true); set search_path = "Ödd ""Schema"; begin; insert into parent values (-1); prepare transaction 'left; behind'`,
  finds: [
    // With what it leads to.
    "critical slot-inactive slot forgotten",
    "info slots-unlimited",
    "critical slot-wal-retained slot forgotten",
    "critical prepared-transactions left; behind",
    "warning horizon-held left; behind of postgres in postgres",
  ],
  thresholds: {
    "slot-wal-retained": { critical_bytes: 1 },
    "prepared-transactions": { critical: 0 },
    "horizon-held": { warning: 1 },
  },
};

/** What the settings of the server plant, or what any server has under these thresholds. */
export const SETTINGS = {
  max_prepared_transactions: 5,
  wal_level: "logical",
  autovacuum: "off",
  archive_mode: "on",
  archive_command: "false",
  work_mem: "64kB",
  checkpoint_timeout: "30s",
  synchronous_standby_names: "ANY 2 (a, b)",
  deadlock_timeout: "100ms",
  shared_preload_libraries: "pg_stat_statements",
  wal_compression: "off",
};
export const BY_SETTING: Plant = {
  sql: "",
  finds: [
    "critical fsync-off fsync",
    "critical full-page-writes-off full_page_writes",
    "warning synchronous-commit-off synchronous_commit",
    "critical autovacuum-off autovacuum",
    "warning work-mem-small work_mem",
    "warning checkpoint-timeout-short checkpoint_timeout",
    "critical sync-standbys-short",
    "info lock-waits-not-logged",
    "info slow-statements-not-logged",
    "info timeouts-off statement_timeout",
    "info random-page-cost random_page_cost",
    "info io-timing-off track_io_timing",
    "critical connections-used",
    "critical connections-idle",
    "critical standbys-missing",
    "critical memory-worst-case",
    "critical wraparound-database database postgres",
    "critical wal-directory-size",
    "warning checkpoints-requested",
    "info restarted-recently",
    "info deadlocks postgres",
  ],
  thresholds: {
    "connections-used": { critical: 1 },
    "connections-idle": { warning: 0, share: 0 },
    "standbys-missing": { expected: 1 },
    "memory-worst-case": { ram_bytes: 1e6 },
    "wraparound-database": { critical: 0 },
    "wal-directory-size": { min_bytes: 0, critical: 0 },
    "checkpoints-requested": { min_count: 1 },
  },
};
