import { beforeAll, expect, test } from "bun:test";
import { compileDocument } from "../../../engine/check/document.ts";
import check from "../../../steps/health/check.ts";
import { inVersions } from "../../../steps/health/examine/select.ts";
import { examine, libraryWith, type Place, writeCheck } from "../../runbooks/health/support.ts";
import { clientOf, createDatabase, sharedServer } from "../../support/postgres.ts";
import { document, libraryOf, newDir } from "./support.ts";

let place: Place;
beforeAll(async () => {
  const server = await sharedServer(18);
  place = { ...server, database: await createDatabase(server) };
});

test("a range of versions holds when each of its bounds does", () => {
  expect([13, 14, 17, 18].map((version) => inVersions(">=14 <18", version))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect([13, 14, 15].map((version) => inVersions("=14", version))).toEqual([false, true, false]);
  expect([13, 14, 15].map((version) => inVersions(">13 <=14", version))).toEqual([
    false,
    true,
    false,
  ]);
  expect(inVersions(undefined, 13)).toBeTrue();
});

test("a check that fails keeps no other from running, and says why", async () => {
  const library = await libraryOf({
    a: document("select 1 as n"),
    b: document("select 1 / (n - 1) as n from (values (1)) v (n)"),
    c: document("select pg_sleep(60)::text as n"),
    d: document("select * from no_such_relation"),
    e: document("selec 1"),
    f: document("select null::int as n", "info: row.n > 1\n").replace('warning: "true"\n', ""),
    g: "kind: check\ntitle: [unclosed\n",
    h: document("select 2 as n").replace("why: test\n", ""),
    i: document("select 2 as n", 'versions: "18"\n'),
    j: document("select 2 as n"),
  });
  const begun = performance.now();
  const report = await examine(place, { statement_timeout: "3s" }, library);
  expect(performance.now() - begun).toBeLessThan(30_000);
  expect(report.findings.map(({ check: name, message }) => `${name} ${message}`)).toEqual([
    'a row {"n":1}',
    'j row {"n":2}',
  ]);
  expect(report.errors.map(({ check: name, code, sqlstate }) => [name, code, sqlstate])).toEqual([
    ["g", "invalid_runbook", null],
    ["h", "invalid_runbook", null],
    ["i", "invalid_runbook", null],
    ["b", "query_failed", "22012"],
    ["c", "timeout", "57014"],
    ["e", "step_refused", null],
    ["f", "expression_failed", null],
  ]);
  expect(report.skipped.map(({ check: name, code }) => [name, code])).toEqual([
    ["d", "unavailable"],
  ]);
  expect(report.summary).toMatchObject({
    worst: "warning",
    warning: 2,
    errors: 7,
    skipped: 1,
    ok: 0,
    checks: 10,
  });
});

test("a remedy whose expression fails keeps no finding away, and says why", async () => {
  const remedy = "remedy: {text: do it, runbook: session/list, params: \"{'pid': row.gone}\"}\n";
  const library = await libraryOf({
    a: document("select 1 as n", remedy),
    b: document("select 2 as n"),
  });
  const report = await examine(place, {}, library);
  expect(report.errors).toEqual([]);
  expect(report.findings.map(({ check: name, remedy: { text } }) => [name, text])).toEqual([
    ["a", expect.stringContaining("What mends it can't be told: ")],
    ["b", null],
  ]);
});

test("the statement timeout is each check's own", async () => {
  const checks = Object.fromEntries(
    ["a", "b", "c", "d"].map((name) => [name, document("select pg_sleep(0.8)::text as n")]),
  );
  const report = await examine(place, { statement_timeout: "3s" }, await libraryOf(checks));
  expect(report.errors).toEqual([]);
  expect(report.findings).toHaveLength(4);
});

test("a check can neither write nor leave its statement", async () => {
  const server = await sharedServer(18);
  const client = await clientOf(server, place.database);
  await client.query("create table victim (n int)");
  const library = await libraryOf({
    a: document("select 1) q) t; commit; drop table victim; select (select 1"),
    b: document("select 1 as n) q) t; drop table victim; --"),
    c: document("select nextval('public.s') as n"),
    d: document("select 3 as n; -- the end"),
  });
  await client.query("create sequence s");
  const report = await examine(place, {}, library);
  expect(report.errors.map(({ check: name, sqlstate }) => [name, sqlstate])).toEqual([
    ["a", null],
    ["b", null],
    ["c", null],
    ["d", "42601"],
  ]);
  const { rows } = await client.query(
    "select count(*)::int as n from pg_class where relname = 'victim'",
  );
  expect(rows).toEqual([{ n: 1 }]);
  await client.end();
});

test("a check of one's own only reads, whatever it is made of", async () => {
  const server = await sharedServer(18);
  const client = await clientOf(server, place.database);
  await client.query(`create schema evil;
    create function evil.act() returns int language plpgsql as 'begin perform pg_advisory_lock(8); return 1; end';
    create view evil.acting as select evil.act() as n;
    create function evil.hidden() returns int stable language plpgsql as 'begin return evil.act(); end';
    create table public.mine (n int); insert into mine values (3);
    create function evil.fine(n int) returns int stable language sql as 'select n * 2'`);
  const dir = await newDir();
  const library = await libraryOf({
    a: document("select pg_switch_wal()::text as n"),
    b: document("select n from evil.acting"),
    c: document("select evil.hidden() as n"),
    d: document("select 1 as n for update"),
    e: document("show work_mem"),
    f: document("select evil.fine(n) as n from public.mine"),
    g: document("select query_to_xml('select evil.act()', false, true, '')::text as n"),
    h: document("select n from nowhere.nothing"),
    i: document(
      "select 1 as n",
      "variants:\n  - {versions: '>=13', sql: 'select evil.act() as n'}\n",
    ),
  });
  const report = await examine(place, {}, library);
  expect(report.findings.map(({ check: name, evidence }) => [name, evidence])).toEqual([
    ["f", { n: 6 }],
  ]);
  expect(report.errors.map(({ check: name, code }) => `${name} ${code}`)).toEqual(
    ["a", "b", "c", "d", "e", "g", "i"].map((name) => `${name} step_refused`),
  );
  expect(report.skipped.map(({ check: name }) => name)).toEqual(["h"]);
  const { rows } = await client.query(
    "select count(*)::int as n from pg_locks where locktype = 'advisory'",
  );
  expect(rows).toEqual([{ n: 0 }]);
  const lint = async (name: string) =>
    (await compileDocument(await library.load(`health/checks/${name}`), check.document!)).map(
      ({ rule }) => rule,
    );
  expect(await Promise.all(["a", "b", "d", "e", "f"].map(lint))).toEqual([
    ["acting-function"],
    [],
    ["not-a-read"],
    ["not-a-read"],
    [],
  ]);

  // A threshold of one's own does not make the SQL one's own.
  await writeCheck(
    dir,
    "sequence-exhausted",
    "extends: health/checks/sequence-exhausted\nparams:\n  info: {default: 0}\n",
  );
  await client.query("create sequence public.used as int; select nextval('public.used')");
  const extended = await examine(place, { only: ["sequence-exhausted"] }, libraryWith(dir));
  expect([
    extended.errors,
    extended.findings.some(({ object }) => object === "public.used"),
  ]).toEqual([[], true]);
  await client.query("drop schema evil cascade; drop table mine; drop sequence used");
  await client.end();
});

test("what comes with pgdba would be let through by the rule for everybody's, but for those that write their SQL as they go", async () => {
  const refused = new Set<string>();
  for (const version of [13, 18] as const) {
    const server = await sharedServer(version);
    const database = await createDatabase(server);
    const client = await clientOf(server, database);
    await client.query("create schema odd; create extension pg_stat_statements schema odd");
    await client.end();
    const builtin = libraryWith();
    const names = builtin.entries("check").map(({ name }) => name);
    // As if a team had written them.
    const theirs = {
      ...builtin,
      load: async (name: string) => ({ ...(await builtin.load(name)), layer: "project" as const }),
    };
    const entries = (kind?: string) =>
      builtin
        .entries(kind)
        .map((entry) => ({ ...entry, layer: "project" as const, overrides: [] }));
    const report = await examine({ ...server, database }, {}, { ...theirs, entries });
    expect(report.summary.checks).toBe(names.length);
    for (const one of report.errors) refused.add(`${one.check} ${one.code}`);
  }
  expect([...refused].toSorted()).toEqual([
    "freeze-overdue step_refused",
    "sequence-behind step_refused",
    "sequence-exhausted step_refused",
  ]);
});

test("nobody's objects but the server's own are found by an unqualified name", async () => {
  const server = await sharedServer(18);
  const client = await clientOf(server, place.database);
  await client.query(
    "create function public.round(int) returns text language sql as $$ select 'hijacked' $$",
  );
  await client.query("create table public.pg_roles (rolname text)");
  await client.end();
  const library = await libraryOf({
    a: document(
      "select round(1) as n, (select count(*) > 0 from pg_roles) as roles, 'public.victim'::regclass::text as name",
    ),
  });
  const { findings } = await examine(place, {}, library);
  expect(findings[0]?.evidence).toEqual({ n: 1, roles: true, name: "public.victim" });
});

test("checks are chosen by name, pattern and group, and a name that does not exist is refused", async () => {
  const names = async (input: Record<string, string[]>) => {
    const { passed, findings, skipped } = await examine(place, input);
    return [
      ...new Set([
        ...passed,
        ...findings.map((finding) => finding.check),
        ...skipped.map((skip) => skip.check),
      ]),
    ].toSorted();
  };
  expect(await names({ only: ["fsync-off", "wraparound-*"] })).toEqual([
    "fsync-off",
    "wraparound-database",
    "wraparound-multixact",
  ]);
  expect(await names({ groups: ["bloat"] })).toEqual(["bloat-index", "bloat-table"]);
  expect(await names({ groups: ["bloat"], skip: ["*-index"] })).toEqual(["bloat-table"]);
  for (const input of [
    { only: ["fsink-off"] },
    { only: ["fsync-off"], groups: ["bloat"] },
    { only: ["fsync-off"], skip: ["fsync*"] },
  ])
    expect(examine(place, input)).rejects.toMatchObject({ code: "invalid_param" });
  for (const groups of [["blaot"], ["bloat", "blaot"]])
    await expect(examine(place, { groups })).rejects.toMatchObject({
      code: "invalid_param",
      message: "groups: there is no group of checks blaot",
      hint: expect.stringMatching(/^The groups are .*\bbloat\b/),
    });
});

test("a threshold given to the step overrides the default; an unknown one is refused", async () => {
  const only = ["connections-used"];
  expect((await examine(place, { only })).findings).toEqual([]);
  const { findings } = await examine(place, {
    only,
    thresholds: { "connections-used": { critical: 0 } },
  });
  expect(findings).toMatchObject([{ check: "connections-used", severity: "critical" }]);
  for (const thresholds of [
    { "connections-usd": {} },
    { "connections-used": { crit: 1 } },
    { "connections-used": { critical: "many" } },
  ])
    expect(examine(place, { only, thresholds })).rejects.toMatchObject({ code: "invalid_param" });
});

test("dropping one file adds a check, three lines change a threshold", async () => {
  const dir = await newDir();
  await writeCheck(dir, "ours", document("select 'x' as name"));
  await writeCheck(
    dir,
    "connections-used",
    "extends: health/checks/connections-used\nparams:\n  warning: {default: 0}\n",
  );
  const report = await examine(place, { only: ["ours", "connections-*"] }, libraryWith(dir));
  expect(report.findings.map(({ check: name, severity }) => [name, severity])).toEqual([
    ["connections-used", "warning"],
    ["ours", "warning"],
  ]);
  expect(report.errors).toEqual([]);
});

test("more findings than are listed are counted, and rows are bounded whatever the SQL gives", async () => {
  const library = await libraryOf({
    cut: document(
      "select n, count(*) over () as total from generate_series(1, 70) n order by n limit 50",
    ),
    few: document(
      "select n, count(*) over () as total from generate_series(1, 70) n order by n limit 50",
      "",
    ).replace('warning: "true"', "warning: row.n < 3"),
    wild: document("select n, repeat('x', 1000) as text from generate_series(1, 100000) n"),
  });
  const { findings, partial } = await examine(place, {}, library);
  const of = (name: string) => findings.filter((finding) => finding.check === name);
  expect([of("cut").length, of("cut")[0]?.total]).toEqual([50, 70]);
  expect([of("few").length, of("few")[0]?.total]).toEqual([2, null]);
  expect([of("wild").length, of("wild")[0]?.total]).toEqual([50, 2000]);
  expect(partial).toMatchObject([{ check: "wild", code: "truncated", object: null }]);
});

test("every check that comes with pgdba is free of faults, and lint finds one that is not", async () => {
  const library = libraryWith();
  const entries = library.entries("check");
  expect(entries.length).toBeGreaterThanOrEqual(60);
  const faults = [];
  for (const { name } of entries)
    faults.push(...(await compileDocument(await library.load(name), check.document!)));
  expect(faults.map((fault) => `${fault.where.file} ${fault.message}`)).toEqual([]);

  const broken = await libraryOf({
    a: document("select 1 as n where {{params.x}} = 1").replace('"true"', "params.warnin > 1"),
    b: document("select 1 as n").replace('warning: "true"\n', ""),
    c: document("select 1 as n", 'versions: ">=fourteen"\nseverity: high\n').replace(
      "{{json row}}",
      "{{servr.version}}",
    ),
  });
  const rules = async (name: string) =>
    (await compileDocument(await broken.load(`health/checks/${name}`), check.document!))
      .map((fault) => fault.message)
      .join("\n");
  expect(await rules("a")).toContain("warnin");
  expect(await rules("a")).toContain("{{params.x}}");
  expect(await rules("b")).not.toBe("");
  expect(await rules("c")).toContain("severity");
});
