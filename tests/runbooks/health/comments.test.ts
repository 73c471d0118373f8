import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { examine, libraryWith, libraryWithoutCauses, type Report, until } from "./support.ts";

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
  "password-expiring": `create role soon login password 'x' valid until 'tomorrow'; comment on role soon is 'on purpose'`,
  "constraint-not-enforced": `create table lax (id int primary key, constraint lax check (id > 1) not enforced);
    comment on constraint lax on lax is 'on purpose'`,
  "dangerous-grants":
    "create role loader; grant pg_read_server_files to loader; comment on role loader is 'on purpose'",
  "security-definer-path": `create function definer() returns int language sql security definer as 'select 1';
    comment on function definer is 'on purpose'`,
  "replica-identity-lost": `create table none (id int primary key); alter table none replica identity nothing; comment on table none is 'on purpose';
    create publication p for table none`,
  "fk-without-index": `create table referenced (id int primary key); insert into referenced values (1);
    create table points (id int primary key, r int constraint fk references referenced); insert into points select n, 1 from generate_series(1, 20000) n;
    comment on constraint fk on points is 'on purpose'`,
  "index-invalid": `create table broken (id int primary key, n int); create index half on broken (n); comment on index half is 'on purpose';
    update pg_index set indisvalid = false where indexrelid = 'half'::regclass`,
  "public-create": `grant create on schema public to public; comment on schema public is 'on purpose'`,
  "owners-mixed": `create role app; create schema s; create table s.a (id int primary key); create table s.b (id int primary key); create table s.c (id int primary key);
    alter table s.a owner to app; alter table s.b owner to app; alter table s.c owner to app; create table s.log (id int primary key); comment on table s.log is 'on purpose'`,
  "role-sees-no-rows": `create role blind login; create table policed (id int primary key); grant select on policed to blind; alter table policed enable row level security;
    create policy no on policed for select to postgres using (true); comment on role blind is 'on purpose'`,
  "planner-methods-off": `create role nested; alter role nested set enable_nestloop = off; comment on role nested is 'on purpose'`,
  "sequence-behind": `create table ids (id serial primary key); insert into ids values (1); comment on sequence ids_id_seq is 'on purpose'`,
  "table-unlogged": `create unlogged table cache (id int primary key); comment on table cache is 'on purpose'`,
  "subscription-disabled": `create subscription off connection 'dbname=nowhere' publication p with (connect = false, slot_name = 'none');
    comment on subscription off is 'on purpose'`,
  "settings-overridden": `create role load; alter role load set work_mem = '64MB';
    comment on role load is 'on purpose'`,
};

/** Those that only a later version has. */
const LATER: Record<string, number> = { "constraint-not-enforced": 18 };

/** Checks that tell comments, whose findings this server can't have: index-unused judges statistics that are a day old. */
const ELSEWHERE = ["index-unused"];

test("all checks that tell a comment are planted", () => {
  const dir = join(import.meta.dir, "../../../runbooks/health/checks");
  const telling = readdirSync(dir)
    .filter((file) => readFileSync(join(dir, file), "utf8").includes("row.comment}}"))
    .map((file) => file.replace(".yaml", ""));
  expect(telling.toSorted()).toEqual([...Object.keys(PLANTED), ...ELSEWHERE].toSorted());
});

describe.each([13, 18] as const)("what is commented in PostgreSQL %d", (version) => {
  let server: TestServer;
  let report: Report;
  const names = Object.keys(PLANTED).filter((check) => version >= (LATER[check] ?? 13));
  beforeAll(async () => {
    server = await startServer({ version });
    const client = await clientOf(server);
    for (const name of names) await client.query(PLANTED[name]!);
    await client.end();
    report = await until(
      () => examine(server, { only: names }, libraryWithoutCauses()),
      // The rows of what a session has written are counted a little later.
      ({ findings }) => findings.some(({ check }) => check === "fk-without-index"),
    );
  }, 300_000);
  afterAll(() => server?.stop());

  test("is found with its comment", () => {
    expect(report.errors).toEqual([]);
    const said = report.findings.map(({ check, message }) =>
      [check, message.replace(/^.*(; its comment:|; comments of them:) (?:\S+: )?/, "")].join(": "),
    );
    expect([...new Set(said)].toSorted()).toEqual(
      names.map((check) => `${check}: on purpose`).toSorted(),
    );
  });

  test("and gives nothing to run that would change it", async () => {
    const library = libraryWith();
    for (const { check, remedy } of report.findings) {
      const runbooks = [remedy.runbook, ...remedy.also.map(({ runbook }) => runbook)];
      for (const runbook of runbooks.filter((one) => one !== null))
        expect([check, runbook, (await library.load(runbook)).data["risk"]]).toEqual([
          check,
          runbook,
          "read",
        ]);
      expect([check, remedy.sql, remedy.runbook ?? remedy.command]).toEqual([
        check,
        null,
        remedy.runbook,
      ]);
    }
    const trigger = report.findings.find(({ check }) => check === "trigger-disabled")!;
    expect(trigger.remedy.text).toStartWith("Read its comment first");
    expect(trigger.remedy.text).toEndWith("(table trigger-enable)");
  });

  test("the table's comment holds back what enables its trigger, a limit's role what raises it", async () => {
    const client = await clientOf(server);
    await client.query(`comment on trigger audit on t is null; comment on table t is 'its trigger must stay off';
      create role bound login connection limit 1 password 'x'; comment on role bound is 'one at a time'`);
    const there = await clientOf({ ...server, user: "bound", password: "x" });
    const { findings } = await examine(server, {
      only: ["trigger-disabled", "connection-limit-role"],
    });
    await there.end();
    await client.end();
    const told = findings.map(({ check, message, remedy }) => [
      check,
      message.replace(/^.*; its comment: /, ""),
      remedy.sql,
      remedy.runbook,
    ]);
    expect(told.toSorted()).toEqual([
      ["connection-limit-role", "one at a time", null, "session/list"],
      ["trigger-disabled", "of the table: its trigger must stay off", null, null],
    ]);
    const limit = findings.find(({ check }) => check === "connection-limit-role");
    expect(limit?.remedy.also).toEqual([]);
  });
});
