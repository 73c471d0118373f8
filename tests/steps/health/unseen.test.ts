import { beforeAll, expect, test } from "bun:test";
import { clientOf, createDatabase, sharedServer, type TestServer } from "../../support/postgres.ts";
import { examine, type Place } from "../../runbooks/health/support.ts";
import { document, libraryOf } from "./support.ts";

let server: TestServer;
let place: Place;

beforeAll(async () => {
  server = await sharedServer(18);
  place = { ...server, database: await createDatabase(server) };
});

const UNSEEN =
  'unseen:\n  when: row.known == false\n  reason: "{{row.name}} has no size"\n  hint: "analyze {{row.name}};"\nobject: "{{row.name}}"\n';

test("what can't be judged is named with its reason, and its check does not pass", async () => {
  const library = await libraryOf({
    some: document(
      "select * from (values ('a', true, 1), ('b', false, 0)) v (name, known, n)",
      UNSEEN,
    ).replace('warning: "true"', "warning: row.n > 1"),
    all: document("select 'c' as name, true as known, 2 as n", UNSEEN),
    many: document(
      "select 't' || n as name, false as known, count(*) over () as total from generate_series(1, 60) n",
      UNSEEN,
    ),
  });
  const report = await examine(place, {}, library);
  const [of, rest] = [
    report.partial.filter(({ check }) => check === "some"),
    report.partial.filter(({ check }) => check === "many"),
  ];
  expect(of).toEqual([
    {
      check: "some",
      code: "unknown",
      database: null,
      object: "b",
      reason: "b has no size",
      hint: "analyze b;",
      total: null,
    },
  ]);
  expect([rest.length, rest[0]?.total]).toEqual([50, 60]);
  expect(report.findings.map(({ check, object }) => [check, object])).toEqual([["all", "c"]]);
  expect(report.findings[0]?.evidence).toEqual({ name: "c", known: true, n: 2 });
  expect(report.passed).toEqual([]);
  expect(report.summary).toMatchObject({ worst: "warning", ok: 0, partial: 2, skipped: 0 });
});

test("a check that can judge nothing is skipped, and when all are nothing is said to be well", async () => {
  const library = await libraryOf({
    blind: document(
      "select 'track_counts' as setting",
      'unseen:\n  when: "true"\n  object: ""\n  reason: "{{row.setting}} is off"\n',
    ),
  });
  const report = await examine(place, {}, library);
  expect(report.skipped).toMatchObject([
    { check: "blind", code: "unknown", object: null, reason: "track_counts is off", hint: null },
  ]);
  expect([report.passed, report.partial]).toEqual([[], []]);
  expect(report.summary).toMatchObject({ worst: "unknown", skipped: 1, ok: 0 });
});

test("databases that were not looked at are named, and are looked at when asked for", async () => {
  const other = await createDatabase(server);
  const client = await clientOf(server, other);
  await client.query("create table here (n int)");
  await client.end();
  const library = await libraryOf({
    local: document(
      "select relname as name from pg_class where relname = 'here'",
      'scope: database\nobject: "{{row.name}}"\n',
    ),
    global: document("select 1 as n"),
  });
  const before = await examine(place, {}, library);
  expect(before.findings.map(({ check, database }) => [check, database])).toEqual([
    ["global", null],
  ]);
  expect(before.unexamined_databases.find(({ database }) => database === other)).toMatchObject({
    checks: 1,
    hint: `pgdba health check --databases '["${other}"]' --host ${place.host} --port ${place.port} --user ${place.user}`,
  });
  const after = await examine(place, { databases: [other] }, library);
  expect(after.findings.map(({ check, database }) => [check, database])).toEqual([
    ["global", null],
    ["local", other],
  ]);
  expect(after.unexamined_databases.map(({ database }) => database)).not.toContain(other);
  expect(examine(place, { databases: ["nope"] }, library)).rejects.toMatchObject({
    code: "invalid_param",
  });
  expect((await examine(place, { only: ["global"] }, library)).unexamined_databases).toEqual([]);
});

test("a database that lets nobody in is named with what it says", async () => {
  const shut = await createDatabase(server);
  const client = await clientOf(server);
  await client.query(`create role "let in" login password 'x'`);
  await client.query(`revoke connect on database "${shut}" from public`);
  const library = await libraryOf({
    local: document("select 1 as n where false", "scope: database\n"),
  });
  const report = await examine(
    { ...place, user: "let in", password: "x" },
    { databases: [shut] },
    library,
  );
  await client.query(`drop role "let in"`);
  await client.end();
  expect(report.unexamined_databases.find(({ database }) => database === shut)).toMatchObject({
    reason: expect.stringContaining("permission denied"),
    hint: null,
  });
});
