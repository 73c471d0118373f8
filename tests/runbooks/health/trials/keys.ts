import { expect } from "bun:test";
import type { Trial, World } from "./trial.ts";

const ODD = `set search_path = "Ödd ""Schema", public`;

/** The files of the indexes of the table `col`. */
const filesOf = (query: World["query"]) =>
  query(
    `select indexrelid::regclass::text as name, pg_relation_filenode(indexrelid) as file from pg_index
     where indrelid = '"Ödd ""Schema".col'::regclass order by 1`,
  );

export const KEYS: Trial[] = [
  {
    check: "sequence-exhausted",
    plant: `${ODD};
      create table "Serial" (id serial primary key, n int); insert into "Serial" (n) values (1);
      create table points (id int primary key, to_serial int references "Serial"); insert into points values (1, 1);
      select setval('"Serial_id_seq"', 2147483600);
      create table half (id serial primary key); alter sequence half_id_seq as bigint; select setval('half_id_seq', 2147483600);
      create table wide (id serial primary key); alter table wide alter column id type bigint; select setval('wide_id_seq', 2147483600);
      create table ident (id int generated always as identity primary key); select setval('ident_id_seq', 2147483600);
      create table parted (id serial, primary key (id)) partition by hash (id);
      create table parts (id serial, k int, primary key (id, k)) partition by list (k); create table parts1 partition of parts default; select setval('parts_id_seq', 2147483600);
      create table seen (id serial primary key); create materialized view "V;iew" as select id from seen; select setval('seen_id_seq', 2147483600);
      create table big (id bigint primary key default 1); create sequence big_seq as int owned by big.id; alter table big alter column id set default nextval('big_seq');
      insert into big values (1); create table of_big (big int primary key references big); insert into of_big values (1); create view "Of;Big" as select big + 1 as n from of_big; select setval('big_seq', 2147483600);
      create sequence small as smallint; select setval('small', 26000);
      create sequence capped maxvalue 1000; select setval('capped', 990);
      create sequence down increment -1 minvalue -100 maxvalue -1; select setval('down', -60);
      create sequence fine; select setval('fine', 2147483640); create sequence round minvalue 1 maxvalue 10 cycle; select setval('round', 10)`,
    finds: [
      `critical "Ödd ""Schema"."Serial_id_seq"`,
      `critical "Ödd ""Schema".half_id_seq`,
      `critical "Ödd ""Schema".wide_id_seq`,
      `critical "Ödd ""Schema".ident_id_seq`,
      `critical "Ödd ""Schema".parts_id_seq`,
      `critical "Ödd ""Schema".seen_id_seq`,
      `critical "Ödd ""Schema".big_seq`,
      `warning "Ödd ""Schema".small`,
      `critical "Ödd ""Schema".capped`,
      `info "Ödd ""Schema".down`,
    ],
    remedy: {
      told: /have to be dropped before, and made again after: "Ödd ""Schema"\."V;iew"\./,
      also: true,
      does: ({ query }) => query(`drop materialized view "Ödd ""Schema"."V;iew"`),
    },
    async leaves({ query }) {
      for (const table of ["Serial", "half", "wide", "ident", "parts"]) {
        const name = `"Ödd ""Schema"."${table}"`;
        const columns = table === "parts" ? "(k) values (1)" : "default values";
        await query(
          `select setval(pg_get_serial_sequence('${name}', 'id'), 3000000000); insert into ${name} ${columns}`,
        );
      }
      await query(`${ODD}; insert into points values (2, 3000000001)`);
      // The view over a column that references the key is there as before.
      await query(
        `${ODD}; select setval('big_seq', 3000000000); insert into big values (3000000000); insert into of_big values (3000000000)`,
      );
      expect(await query(`${ODD}; select max(n)::text as n from "Of;Big"`)).toEqual([
        { n: "3000000001" },
      ]);
    },
  },
  {
    check: "integer-key-exhausted",
    plant: `${ODD}; create table "High" (id int primary key); insert into "High" select 1800000000 + n from generate_series(1, 500) n;
      create table points_high (id int primary key, high int references "High"); insert into points_high values (1, 1800000001);
      create table barred (id smallint primary key); insert into barred select 30000 + n from generate_series(1, 500) n; create materialized view bars as select id from barred;
      create table low (id int primary key); insert into low select n from generate_series(1, 500) n; analyze`,
    finds: [`warning "Ödd ""Schema"."High"`, `critical "Ödd ""Schema".barred`],
    remedy: {
      told: /have to be dropped before, and made again after: "Ödd ""Schema"\.bars\./,
      also: true,
      does: ({ query }) => query(`drop materialized view "Ödd ""Schema".bars`),
    },
    leaves: ({ query }) =>
      query(
        `${ODD}; insert into "High" values (3000000000); insert into points_high values (2, 3000000000)`,
      ),
  },
  {
    check: "constraint-not-valid",
    plant: `${ODD}; create table checked (id int primary key, n int); insert into checked values (1, 1);
      alter table checked add constraint "Pos;" check (id > 0) not valid; alter table checked add constraint self foreign key (n) references checked not valid;
      create table heir (primary key (id)) inherits (checked); alter table checked add constraint good check (id > -1)`,
    finds: [`warning "Pos;" on "Ödd ""Schema".checked`, `warning self on "Ödd ""Schema".checked`],
  },
  {
    check: "constraint-not-enforced",
    from: 18,
    plant: `${ODD}; create table lax (id int primary key, n int, constraint "Lax" check (id > 1) not enforced, constraint fk foreign key (n) references lax not enforced,
      constraint enforced check (n > 0))`,
    finds: [`info "Lax" on "Ödd ""Schema".lax`, `info fk on "Ödd ""Schema".lax`],
    async leaves({ query }) {
      const refused = await query(`${ODD}; insert into lax values (0, null)`).catch(
        ({ code }) => code,
      );
      expect(refused).toBe("23514");
    },
  },
  {
    check: "replica-identity-lost",
    commands: [13, 18],
    plant: `${ODD}; create table "Has Key" (n int primary key, m int not null); create unique index hk_m on "Has Key" (m); alter table "Has Key" replica identity using index hk_m; drop index hk_m;
      create table has_index (n int not null, m int not null); create unique index hi_n on has_index (n); create unique index "Hi;" on has_index (m);
      alter table has_index replica identity using index hi_n; drop index hi_n;
      create table lost_parts (n int not null) partition by list (n); create table lost_parts1 partition of lost_parts default; alter table lost_parts replica identity full;
      create unique index lp_n on lost_parts1 (n); alter table lost_parts1 replica identity using index lp_n; drop index lp_n;
      create table set_to_nothing (n int primary key); alter table set_to_nothing replica identity nothing;
      create table not_published (n int primary key); alter table not_published replica identity nothing;
      create publication ri for table "Has Key", lost_parts, set_to_nothing`,
    finds: [
      `critical "Ödd ""Schema"."Has Key"`,
      `info "Ödd ""Schema".has_index`,
      `critical "Ödd ""Schema".lost_parts1`,
      `critical "Ödd ""Schema".set_to_nothing`,
    ],
    async leaves({ query }) {
      await query(`${ODD}; insert into "Has Key" values (1, 1); update "Has Key" set m = 2; insert into lost_parts values (1);
        update lost_parts set n = 2; insert into set_to_nothing values (1); delete from set_to_nothing`);
      const rows = await query(
        `select relreplident as one from pg_class where relname in ('Has Key', 'has_index', 'lost_parts1', 'set_to_nothing') order by relname collate "C"`,
      );
      expect(rows.map(({ one }) => one).join("")).toBe("difd");
    },
  },
  {
    check: "table-without-key",
    plant: `${ODD}; create table "No Key" (n int); create table also (n int); create table has_unique (n int not null unique, m int);
      create table unique_index (n int not null); create unique index "ui;" on unique_index (n);
      create table pub_unique (n int not null unique); create table pub_parts (n int) partition by list (n); create table pub_parts1 partition of pub_parts default;
      create publication p for table "No Key", pub_unique, pub_parts; create table full_identity (n int); alter table full_identity replica identity full`,
    finds: [
      `warning "Ödd ""Schema"."No Key"`,
      `warning "Ödd ""Schema".pub_unique`,
      `warning "Ödd ""Schema".pub_parts`,
      `info "Ödd ""Schema".also`,
      `info "Ödd ""Schema".unique_index`,
    ],
    remedy: {
      told: /Add a primary key, for instance with alter table ... add column id bigint generated always as identity primary key/,
      also: true,
      does: ({ query }, { object }) =>
        query(
          `alter table ${object} add column id bigint generated always as identity primary key`,
        ),
    },
    leaves: ({ query }) =>
      query(
        `${ODD}; insert into pub_parts values (1); update pub_parts set n = 2; delete from pub_parts`,
      ),
  },
  {
    check: "partition-missing",
    // Near the end of a month the next one would be due as well.
    thresholds: { ahead: 0 },
    // By months: two end before this one, of which one has a default partition; one takes the next as well, one nobody has used for a year, and one takes all that comes.
    plant: `${ODD}; create table "Mo;nths" (d date primary key) partition by range (d); create table rest (t timestamptz primary key) partition by range (t); create table rest_of_it partition of rest default;
      create table ahead (d date primary key) partition by range (d); create table left_alone (d date primary key) partition by range (d); create table open_end (d date primary key) partition by range (d);
      do $$ declare one record; begin
        for one in select t, date_trunc('month', now()) + make_interval(months => m + k) as lower, date_trunc('month', now()) + make_interval(months => m + k + 1) as upper, m + k = 0 and t = 'open_end' as ends
                   from (values ('Mo;nths', 0), ('rest', 0), ('ahead', 3), ('left_alone', -12), ('open_end', 1)) v(t, m), generate_series(-3, -1) k loop
          execute format('create table %I partition of %I for values from (%L) to (%s)', one.t || to_char(one.lower, '_YYYY_MM'), one.t, one.lower, case when one.ends then 'maxvalue' else quote_literal(one.upper) end);
        end loop; end $$;
      insert into rest select now() + make_interval(secs => s) from generate_series(0, 9) s; analyze rest_of_it`,
    finds: [`critical "Ödd ""Schema"."Mo;nths"`, `warning "Ödd ""Schema".rest`],
    async leaves({ query }) {
      await query(`${ODD}; insert into "Mo;nths" values (current_date)`);
      const [row] = await query(
        `${ODD}; select (select count(*)::int from rest) as all, (select count(*)::int from rest_of_it where t < date_trunc('month', now()) + interval '1 month') as left_over,
          to_regclass('rest' || to_char(now(), '_YYYY_MM')) is not null as named`,
      );
      expect(row).toEqual({ all: 10, left_over: 0, named: true });
    },
  },
  {
    check: "trigger-disabled",
    async plant({ query, notes }) {
      await query(`${ODD}; create function nop() returns trigger language plpgsql as 'begin return new; end';
        create table triggered (id int primary key); create trigger "Tr ig" before insert on triggered for each row execute function nop();
        create trigger fine before update on triggered for each row execute function nop(); alter table triggered disable trigger "Tr ig";
        create table guarded (k int primary key, id int constraint "G;" references triggered); alter table guarded disable trigger all`);
      notes["internal"] = await query(
        `select quote_ident(tgname) as name from pg_trigger where tgisinternal and tgrelid = '"Ödd ""Schema".guarded'::regclass`,
      );
    },
    finds: ({ notes }) => [
      `warning "Tr ig" on "Ödd ""Schema".triggered`,
      ...(notes["internal"] as { name: string }[]).map(
        ({ name }) => `critical ${name} on "Ödd ""Schema".guarded`,
      ),
    ],
    async leaves({ query }) {
      const refused = await query(`${ODD}; insert into guarded values (1, 7)`).catch(
        ({ code }) => code,
      );
      expect(refused).toBe("23503");
    },
  },
  {
    check: "policy-without-rls",
    plant: `${ODD}; create table "Pol;icy" (id int primary key, n int); create policy "Own" on "Pol;icy" using (n = 1);
      create table ruled (id int primary key); create policy all_of_them on ruled using (true); alter table ruled enable row level security`,
    finds: [`warning "Ödd ""Schema"."Pol;icy"`],
  },
  {
    check: "rls-without-policy",
    plant: `${ODD}; create table "Lock;ed" (id int primary key); alter table "Lock;ed" enable row level security`,
    finds: [`info "Ödd ""Schema"."Lock;ed"`],
    remedy: {
      told: /create policy NAME on "Ödd ""Schema"."Lock;ed" for select to ROLE using \(CONDITION\)/,
      does: ({ query }) =>
        query(`create policy seen on "Ödd ""Schema"."Lock;ed" for select to public using (id > 0)`),
    },
  },
  {
    check: "security-definer-path",
    plant: `${ODD}; create function "Def Iner"(text) returns int language sql security definer as 'select 1'; create procedure pro() language sql security definer as 'select 1';
      create function safe() returns int language sql security definer set search_path = pg_temp as 'select 1'; create function invoker() returns int language sql as 'select 1'`,
    finds: [`warning "Ödd ""Schema"."Def Iner"(text)`, `warning "Ödd ""Schema".pro()`],
    leaves: ({ query }) =>
      query(`select "Ödd ""Schema"."Def Iner"('x'); call "Ödd ""Schema".pro()`),
  },
  {
    check: "untrusted-languages",
    plant: `${ODD}; create language "un trusted" handler plpgsql_call_handler; create trusted language trusted handler plpgsql_call_handler;
      create language boxed handler plpgsql_call_handler; create extension intarray; alter extension intarray add language boxed;
      create language needed handler plpgsql_call_handler; create function n() returns int language needed as 'begin return 1; end'`,
    finds: [`info language "un trusted"`, "info language boxed", "info language needed"],
    remedy: {
      told: /Rewrite what needs it/,
      also: true,
      does: ({ query }) => query(`drop function "Ödd ""Schema".n()`),
    },
  },
  {
    check: "extension-outdated",
    plant: `${ODD}; create extension pg_stat_statements version '1.4'; create extension hstore; create extension cube;
      update pg_extension set extversion = '0.1' where extname = 'cube'`,
    finds: ["info cube", "info pg_stat_statements"],
    remedy: {
      told: /no way to update from 0.1 .* dropped and created again/,
      also: true,
      does: ({ query }) => query("drop extension cube; create extension cube"),
    },
  },
  {
    check: "collation-object",
    async plant({ query, notes }) {
      await query(`${ODD}; create collation icu (provider = icu, locale = 'de'); create collation other (provider = icu, locale = 'sv'); create collation idle (provider = icu, locale = 'fr');
      create table col (t text collate icu primary key, u text, v text, exclude using btree (v collate icu with =)); create index "ex pr" on col ((lower(u collate other)));
      create index on col (u) where v < ('x' collate other);
      delete from pg_depend where refclassid = 'pg_collation'::regclass and refobjid = 'icu'::regcollation and classid = 'pg_class'::regclass and deptype = 'n' and objid in (select indexrelid from pg_index where indisexclusion);
      update pg_collation set collversion = '0.1' where collname in ('icu', 'other', 'idle')`);
      notes["files"] = await filesOf(query);
    },
    finds: [`critical collation "Ödd ""Schema".icu`, `critical collation "Ödd ""Schema".other`],
    async leaves({ query, notes }) {
      const rebuilt = await filesOf(query);
      for (const [at, { file }] of (notes["files"] as { file: number }[]).entries())
        expect(rebuilt[at].file).not.toBe(file);
    },
  },
  {
    check: "collation-database",
    from: 15,
    plant: `create database "D;b" template template0 locale_provider icu icu_locale 'de'; create database shut template template0 locale_provider icu icu_locale 'de' allow_connections false;
      create database fresh template template0 locale_provider icu icu_locale 'de'; update pg_database set datcollversion = '0.1' where datname in ('D;b', 'shut')`,
    finds: [`critical database "D;b"`, "critical database shut"],
  },
];
