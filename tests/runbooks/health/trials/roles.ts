import { expect } from "bun:test";
import { runCommand } from "./remedies.ts";
import type { Trial } from "./trial.ts";

export const ROLES: Trial[] = [
  {
    check: "superusers",
    plant: `create role "Sup er" login superuser password 'x'; create role "Sup group" superuser`,
    finds: ["info"],
    remedy: {
      told: /alter role \.\.\. nosuperuser/,
      does: ({ query }) => query(`alter role "Sup er" nosuperuser`),
    },
  },
  {
    check: "login-without-password",
    plant: `create role "No pass" login`,
    finds: [`info role "No pass"`],
  },
  {
    check: "password-md5",
    plant: `create role "M;d5" login password 'md5aabbccddeeff00112233445566778899'; create role scram login password 'x'`,
    finds: ({ server }) => [`${server.version >= 14 ? "warning" : "info"} role "M;d5"`],
    leaves: ({ query }) => query("select 1", { user: "M;d5", password: "again" }),
  },
  {
    check: "password-expiring",
    plant: `create role "So;on" login password 'x' valid until 'tomorrow'; create role later login password 'x' valid until '2100-01-01'; create role never login password 'x' valid until 'infinity'`,
    finds: [`warning role "So;on"`],
  },
  {
    check: "password-expired",
    plant: `create role "La;te" login password 'x' valid until 'yesterday'; create role "Long ago" login password 'x' valid until '2020-01-01';
      create role locked nologin password 'x' valid until '2020-01-01'`,
    finds: [`warning role "La;te"`, `info role "Long ago"`],
    remedy: {
      told: /Where it is not needed any more, take the login away/,
      also: true,
      does: (world, { check, remedy }) => runCommand(world, check, remedy.also[0]!.command),
    },
    // The command has given a new password: the old one stays dead.
    async leaves({ query }) {
      const refused = await query("select 1", { user: "La;te", password: "x" }).catch(
        (error: { code?: string }) => error.code,
      );
      expect(refused).toBe("28P01");
      expect(
        await query(`select rolname from pg_roles where rolname in ('La;te', 'Long ago') and rolcanlogin
          and rolvaliduntil > now() + interval '89 days' and rolvaliduntil < now() + interval '91 days'`),
      ).toHaveLength(1);
    },
  },
  {
    check: "dangerous-grants",
    async plant({ server, query }) {
      await query(`create role "Files"; grant pg_read_server_files to "Files"; create role harmless; grant pg_monitor to harmless;
        create role giver login password 'x' createrole; create role "Tak;er"; grant pg_execute_server_program to giver with admin option`);
      await query(`grant pg_execute_server_program to "Tak;er"`, { user: "giver", password: "x" });
      expect(server.version).toBeGreaterThan(0);
    },
    finds: [`warning role "Files"`, `warning role "Tak;er"`, "warning role giver"],
  },
  {
    check: "connection-limit-role",
    async plant({ query, open }) {
      await query(
        `create role "Few" login connection limit 1 password 'few'; create role many login connection limit 100 password 'x'`,
      );
      await open({ user: "Few", password: "few" });
    },
    finds: [`critical role "Few"`],
  },
  {
    check: "connection-limit-database",
    async plant({ query, open }) {
      await query(`create database "Cro;wded" connection limit 1`);
      await open({ database: "Cro;wded" });
    },
    finds: [`critical database "Cro;wded"`],
  },
  {
    check: "public-create",
    plant: `create role "Own;er" login password 'x'; grant create on schema public to public; set role "Own;er"; create table public.its_own (id int primary key)`,
    finds: ({ server }) => [`${server.version >= 15 ? "warning" : "info"} schema public`],
    leaves: ({ query }) =>
      query("create table public.goes_on (id int primary key)", { user: "Own;er", password: "x" }),
  },
];
