import { expect } from "bun:test";
import { runCommand } from "./remedies.ts";
import type { Trial } from "./trial.ts";

const PAY = `"Pay ""Roll"`;
const login = { user: "Cle;rk", password: "x" };

export const RIGHTS: Trial[] = [
  {
    check: "public-tables",
    plant: `create role "Mak;er"; create role "Cle;rk" login password 'x'; create schema ${PAY} authorization "Mak;er"; grant usage on schema ${PAY} to "Cle;rk";
      set role "Mak;er"; set search_path = ${PAY};
      create table "Sal;aries" (id int primary key); grant select, insert on "Sal;aries" to public; create table halves (id int primary key, secret text); grant update (id) on halves to public;
      create view seen as select id from "Sal;aries"; grant select on seen to public; create table kept (id int primary key); grant select on kept to "Cle;rk";
      reset role; create schema shut; create table shut.out (id int primary key); grant all on shut.out to public;
      create schema guarded; grant usage on schema guarded to public; create table guarded.rows (id int primary key); grant insert on guarded.rows to public;
      alter table guarded.rows enable row level security; create policy own on guarded.rows using (false);
      create extension pg_buffercache schema guarded; grant select on guarded.pg_buffercache to public`,
    finds: [
      `warning schema ${PAY}`,
      `info schema ${PAY}, read only`,
      // Policies stand before it.
      "info schema guarded",
    ],
    async leaves({ query }) {
      const path = `set search_path = ${PAY}`;
      await query(
        `${path}; insert into "Sal;aries" values (1); update halves set id = 1; select * from seen`,
        login,
      );
      await query(
        `create role new login password 'x'; grant usage on schema ${PAY} to new; ${path}`,
      );
      const { code } = await query(`${path}; select * from seen`, {
        user: "new",
        password: "x",
      }).then(
        () => ({ code: "none" }),
        (error: { code: string }) => error,
      );
      expect(code).toBe("42501");
      expect(
        await query(
          `select from pg_class c, aclexplode(c.relacl) a where c.relname = 'pg_buffercache' and a.grantee = 0`,
        ),
      ).toHaveLength(1);
    },
  },
  {
    check: "public-definer-functions",
    plant: `set search_path = ${PAY}; create type pair as (a int); create function "Su;per"(pair, integer) returns int language sql security definer set search_path = pg_temp as 'select 1';
      set role "Mak;er"; create function mine() returns int language sql security definer set search_path = pg_temp as 'select 1'; create procedure proc(text) language sql security definer set search_path = pg_temp as 'select 1';
      create function plain() returns int language sql as 'select 1'; create function audit() returns trigger language plpgsql security definer set search_path = pg_temp as 'begin return new; end';
      create function safe() returns int language sql security definer set search_path = pg_temp as 'select 1'; revoke execute on function safe() from public`,
    finds: [
      `warning functions of postgres in schema ${PAY}`,
      `info functions of "Mak;er" in schema ${PAY}`,
    ],
    async leaves({ query }) {
      await query(
        `set search_path = ${PAY}; select "Su;per"(null, 1); select mine(); call proc('x')`,
        login,
      );
      expect(
        await query(`select from pg_proc p where p.pronamespace = (select oid from pg_namespace where nspname = 'Pay "Roll') and proname in ('plain', 'audit')
          and proacl is not null`),
      ).toEqual([]);
    },
  },
  {
    check: "public-future",
    plant: `create schema later; create role "Ot;her"; alter default privileges for role "Mak;er" grant select, insert on tables to public; alter default privileges for role "Mak;er" grant usage on schemas to public;
      alter default privileges for role "Mak;er" grant execute on functions to "Cle;rk"; alter default privileges for role "Mak;er" in schema later grant usage on sequences to public;
      alter default privileges for role "Ot;her" revoke execute on functions from public; alter default privileges for role "Ot;her" in schema later grant execute on functions to public;
      alter default privileges for role "Cle;rk" in schema later grant execute on functions to public; alter default privileges for role "Cle;rk" grant select on tables to "Mak;er"`,
    finds: [
      `warning role "Mak;er"`,
      `info role "Mak;er" in schema later`,
      `info role "Ot;her" in schema later`,
    ],
    async leaves({ query }) {
      // What everyone may by nature is left.
      const [row] = await query(
        `select count(*)::int as n from pg_default_acl d, aclexplode(d.defaclacl) a where d.defaclrole = '"Mak;er"'::regrole and d.defaclobjtype = 'f' and a.grantee = 0`,
      );
      expect(row.n).toBe(1);
    },
  },
  {
    check: "owners-mixed",
    commands: [13, 18],
    plant: `create role "Mi;grates" login password 'x'; create role chiefs superuser; create schema "Mix;ed" authorization "Mi;grates"; set search_path = "Mix;ed"; set role "Mi;grates";
      create table one (id serial primary key); create table two (id int primary key); create table three (id int primary key); create table "Pa;rts" (d int primary key) partition by range (d);
      create table four (id int primary key); create table five (id int primary key); create table six (id int primary key); create table parts_1 partition of "Pa;rts" for values from (0) to (10);
      reset role; create table parts_2 partition of "Pa;rts" for values from (10) to (20); create table "By hand" (id serial primary key);
      create table guarded (id int primary key); alter table guarded enable row level security; create policy own on guarded using (true);
      create role "Hal;ves"; create schema halves_too authorization "Hal;ves"; set search_path = halves_too; create table h1 (id int primary key); create table h2 (id int primary key);
      set role "Hal;ves"; create table h3 (id int primary key); create table h4 (id int primary key); create table h5 (id int primary key); reset role;
      create role acts_as in role chiefs; create schema acting authorization acts_as; set search_path = acting; set role chiefs; create table a1 (id int primary key); set role acts_as;
      create table a2 (id int primary key); create table a3 (id int primary key); create table a4 (id int primary key)`,
    finds: [`warning schema "Mix;ed"`],
    async leaves({ query }) {
      await query(
        `set search_path = "Mix;ed"; alter table "Pa;rts" add column more int; alter table "By hand" add column more int; drop table parts_2; alter sequence "By hand_id_seq" cache 5`,
        { user: "Mi;grates", password: "x" },
      );
      const [row] = await query(
        `select pg_get_userbyid(relowner) as owner from pg_class where relname = 'guarded' and relnamespace = '"Mix;ed"'::regnamespace`,
      );
      expect(row.owner).toBe("postgres");
    },
  },
  {
    check: "role-sees-no-rows",
    plant: `create schema "Vei;led"; set search_path = "Vei;led"; create role "Bl;ind" login password 'x'; create role kin nologin; create role "of kin" login password 'x' in role kin;
      create role sees login password 'x' in role kin; create role bypasses login password 'x' bypassrls; create role "Owns;it"; grant usage on schema "Vei;led" to "Bl;ind", kin, bypasses;
      create table "Ro;ws" (id int primary key); insert into "Ro;ws" values (1); alter table "Ro;ws" enable row level security; create policy for_sees on "Ro;ws" for select to sees using (id > 0);
      create policy never on "Ro;ws" using (false); create policy adds on "Ro;ws" for insert to "Bl;ind" with check (true);
      grant select on "Ro;ws" to "Bl;ind", kin, bypasses, "Owns;it"; alter table "Ro;ws" owner to "Owns;it"; create table shown (id int primary key); alter table shown enable row level security;
      create policy all_of_it on shown for select to public using (id > 0); grant select on shown to "Bl;ind"`,
    finds: [
      `warning role "Bl;ind" on "Vei;led"."Ro;ws"`,
      `info role "of kin" on "Vei;led"."Ro;ws"`,
    ],
    remedy: {
      told: /create policy NAME on "Vei;led"\."Ro;ws" for select to ".*" using \(CONDITION\)/,
      async does(world, { check, object, remedy }) {
        const [other] = remedy.also;
        if (other !== undefined) return runCommand(world, check, other.command);
        expect(object).toContain("of kin");
        return world.query(
          `create policy forgotten on "Vei;led"."Ro;ws" for select to "of kin" using (id > 0)`,
        );
      },
    },
    async leaves({ query }) {
      const refused = await query(`select from "Vei;led"."Ro;ws"`, {
        user: "Bl;ind",
        password: "x",
      }).catch((error: { code?: string }) => error.code);
      expect(refused).toBe("42501");
    },
  },
];
