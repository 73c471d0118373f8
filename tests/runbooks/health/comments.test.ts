import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { flat } from "../../../steps/health/findings/findings.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { examine } from "./support.ts";

/** What may be so on purpose, each with what makes it so and its comment. */
const PLANTED: Record<string, string> = {
  "trigger-disabled": `create function f() returns trigger language plpgsql as 'begin return new; end';
    create table t (id int primary key); create trigger audit after insert on t for each row execute function f();
    alter table t disable trigger audit; comment on trigger audit on t is 'on purpose'`,
  "autovacuum-off-table": `create table hot (id int primary key) with (autovacuum_enabled = off);
    comment on table hot is 'on purpose'`,
  "constraint-not-valid": `create table old (id int primary key, n int);
    alter table old add constraint positive check (n > 0) not valid; comment on constraint positive on old is 'on purpose'`,
  "policy-without-rls": `create table open (id int primary key); create policy own on open using (id > 0);
    comment on table open is 'on purpose'`,
  "rls-without-policy": `create table shut (id int primary key); alter table shut enable row level security;
    comment on table shut is 'on purpose'`,
  "index-duplicate": `create table twice (id int primary key, n int); create index a on twice (n); create index b on twice (n);
    comment on index a is 'on purpose'; comment on index b is 'on purpose'`,
  "index-redundant": `create table wide (id int primary key, n int, m int); create index narrow on wide (n); create index whole on wide (n, m);
    comment on index narrow is 'on purpose'`,
  "login-without-password": "create role by_peer login; comment on role by_peer is 'on purpose'",
  "password-expired": `create role gone login password 'x' valid until '2020-01-01';
    comment on role gone is 'on purpose'`,
  "settings-overridden": `create role load; alter role load set work_mem = '64MB';
    comment on role load is 'on purpose'`,
};

describe.each([13, 18] as const)("what is commented in PostgreSQL %d", (version) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ version });
    const client = await clientOf(server);
    for (const sql of Object.values(PLANTED)) await client.query(sql);
    await client.end();
  }, 300_000);
  afterAll(() => server?.stop());

  test("is found with its comment", async () => {
    const report = await examine(server, { only: Object.keys(PLANTED) });
    expect(report.errors).toEqual([]);
    const said = flat(report.findings).map(({ check, message }) => [
      check,
      message.replace(/^.*; its comment: /, ""),
    ]);
    expect(said.toSorted()).toEqual(
      Object.keys(PLANTED)
        .toSorted()
        .map((check) => [check, "on purpose"]),
    );
  }, 300_000);
});
