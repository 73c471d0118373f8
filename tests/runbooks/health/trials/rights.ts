import { expect } from "bun:test";
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
];
