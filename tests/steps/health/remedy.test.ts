import { expect, test } from "bun:test";
import type { JsonObject } from "../../../engine/types.ts";
import type { Check } from "../../../steps/health/check/check.ts";
import type { Facts } from "../../../steps/health/examine/facts.ts";
import { mannersOf, remedyOf } from "../../../steps/health/findings/remedy.ts";
import { fakeContext } from "../../support/context.ts";
import { libraryWith } from "../../runbooks/health/support.ts";

const FACTS = {
  origins: {},
  restarting: ["shared_buffers", "shared_preload_libraries"],
  patroni: false,
  role: "primary",
  database_quoted: '"My db"',
  user_quoted: "me",
} as unknown as Facts;

function told(
  remedy: NonNullable<Check["remedy"]>,
  facts: Partial<Facts> = {},
  { row = {}, scope, disruptive = [], primary = [], reads = [], ...target }: Around = {},
) {
  const vars = { row, params: {}, server: { ...FACTS, ...facts } };
  const check = { remedy, scope } as Check;
  return remedyOf(fakeContext({ target }), check, vars, {
    yes: new Set(disruptive),
    primary: new Set(primary),
    reads: new Set(reads),
  });
}

interface Around {
  row?: JsonObject;
  scope?: "database";
  disruptive?: string[];
  primary?: string[];
  reads?: string[];
  flags?: string[];
  cluster?: string;
}

const settings = { settings: "{'fsync': 'on'}", runbook: "config/apply" };
const configured = "alter system set fsync = 'on';\nselect pg_reload_conf();";

test("a setting is set where its value stands", () => {
  expect(told(settings).sql).toBe(configured);
  expect(told(settings, { origins: { fsync: "database" } }).sql).toBe(
    'alter database "My db" reset fsync;',
  );
  expect(told(settings, { origins: { fsync: "user" } }).sql).toBe("alter role me reset fsync;");
  expect(told(settings, { origins: { fsync: "global" } }).sql).toBe("alter role all reset fsync;");
  expect(told(settings, { origins: { fsync: "database user" } })).toMatchObject({
    sql: 'alter role me in database "My db" reset fsync;',
    // There is nothing to configure.
    runbook: null,
    command: null,
  });
});

test("what wins over the configuration is said, and not written past", () => {
  const remedy = told(settings, { origins: { fsync: "command line" } });
  expect([remedy.sql, remedy.command]).toEqual([null, null]);
  expect(remedy.text).toMatch(/comes from the server's command line.*where the server is started/);
});

test("Patroni is given the setting by the runbook alone", () => {
  const remedy = told(settings, { patroni: true, origins: { fsync: "command line" } });
  expect(remedy).toMatchObject({ sql: null, params: { settings: { fsync: "on" } } });
});

test("a restart is told where one is needed, a list is written name by name, null takes a setting out", () => {
  expect(told({ settings: "{'shared_buffers': '1GB'}" }).sql).toBe(
    "alter system set shared_buffers = '1GB';\n-- then restart the server",
  );
  const libraries = told({
    settings: "{'shared_preload_libraries': ['a', 'o''b']}".replace("''", "\\'"),
    sql: "create extension a;",
    runbook: "config/apply",
  });
  expect(libraries.sql).toBe(
    "alter system set shared_preload_libraries = 'a', 'o''b';\n-- then restart the server\ncreate extension a;",
  );
  expect(libraries.params).toEqual({ settings: { shared_preload_libraries: "a, o'b" } });
  expect(told({ settings: "{'fsync': null}" }).sql).toBe(
    "alter system reset fsync;\nselect pg_reload_conf();",
  );
});

test("what a standby can't do is sent to its primary", () => {
  const on = { role: "standby" } as const;
  expect(told({ sql: "revoke create on schema public from public;" }, on).sql).toBe(
    "-- on the primary:\nrevoke create on schema public from public;",
  );
  expect(told(settings, { ...on, origins: { fsync: "user" } }).sql).toBe(
    "-- on the primary:\nalter role me reset fsync;",
  );
  for (const sql of [
    "select pg_terminate_backend(7);",
    "-- in database x:\nselect 1;",
    "checkpoint;",
  ])
    expect(told({ sql }, on).sql).toBe(sql);
  expect(told(settings, on).sql).toBe(configured);
});

test("which runbook it is may depend on the row; a value that begins with a dash is no flag", () => {
  const remedy = {
    runbooks: {
      "session/terminate": "row.pid > 0 ? {'pid': row.pid, 'why': null} : null",
      "slot/drop": "row.slot != '' ? {'slot': row.slot, 'force': true, 'wait': false} : null",
    },
  };
  const around = { flags: ["--host", "db 1"] };
  expect(told(remedy, {}, { ...around, row: { pid: 7, slot: "" } })).toMatchObject({
    runbook: "session/terminate",
    params: { pid: 7 },
    command: "pgdba run session/terminate --pid 7 --host 'db 1'",
  });
  expect(told(remedy, {}, { ...around, row: { pid: 0, slot: "-s" } }).command).toBe(
    "pgdba run slot/drop --slot=-s --force --no-wait --host 'db 1'",
  );
  expect(told(remedy, {}, { ...around, row: { pid: 0, slot: "" } })).toMatchObject({
    runbook: null,
    params: null,
    command: null,
  });
});

test("the command names the database of the finding, and the primary rather than the standby that was examined", () => {
  const remedy = {
    sql: "alter sequence s as bigint;",
    runbook: "sequence/widen",
    params: "{'sequence': 's'}",
  };
  const flags = ["--host", "db1", "--database", "first"];
  expect(told(remedy, { database: "shop" }, { flags, scope: "database" }).command).toBe(
    "pgdba run sequence/widen --sequence s --host db1 --database shop",
  );
  expect(told(remedy, { database: "shop" }, { flags }).command).toBe(
    "pgdba run sequence/widen --sequence s --host db1 --database first",
  );
  const standby = { role: "standby", database: "shop" } as const;
  expect(told(remedy, standby, { flags })).toMatchObject({
    runbook: "sequence/widen",
    command: null,
  });
  expect(
    told(remedy, standby, { flags: ["--cluster", "c", "--host", "pg2"], cluster: "c" }).command,
  ).toBe("pgdba run sequence/widen --sequence s --cluster c");
  // With one that takes a database by its name, the flag is the param.
  const own = { ...remedy, params: "{'database': 'other'}" };
  expect(
    told(own, { database: "shop" }, { flags: ["--host", "db1"], scope: "database" }).command,
  ).toBe("pgdba run sequence/widen --database other --host db1");
  const elsewhere = { ...remedy, database: "{{row.where}}" };
  expect(told(elsewhere, {}, { flags, row: { where: "old" } }).command).toBe(
    "pgdba run sequence/widen --sequence s --host db1 --database old",
  );
});

test("a command that interrupts somebody says yes, and further ones stand after the first where the row has them", () => {
  const end = { text: "End it", runbook: "session/terminate", params: "{'pid': row.pid}" };
  const other = { ...end, params: "row.pid == 7 ? null : {}" };
  const remedy = told(
    { runbook: "session/list", params: "{'pid': row.pid}", also: [end, other] },
    {},
    { row: { pid: 7 }, disruptive: ["session/terminate"] },
  );
  expect(remedy.command).toBe("pgdba run session/list --pid 7");
  const command = "pgdba run session/terminate --pid 7 --yes";
  expect(remedy.also).toEqual([
    { text: "End it", runbook: "session/terminate", params: { pid: 7 }, command },
  ]);
});

test("a runbook that only a primary takes is sent there, also without statements", () => {
  const remedy = { runbook: "role/set", params: "{'role': 'app'}" };
  const around = { flags: ["--host", "db1"], primary: ["role/set"] };
  expect(told(remedy, {}, around).command).toBe("pgdba run role/set --role app --host db1");
  const also = [{ text: "Look", ...remedy }];
  const there = { runbook: "session/list", text: "Set it.", also };
  expect(told({ ...remedy, text: "Set it." }, { role: "standby" }, around)).toMatchObject({
    text: "On the primary: Set it.",
    command: null,
  });
  expect(told(there, { role: "standby" }, around)).toMatchObject({
    text: "Set it.",
    also: [{ text: "On the primary: Look", command: null }],
  });
  const member = { ...around, flags: ["--cluster", "c", "--host", "pg2"], cluster: "c" };
  expect(told(remedy, { role: "standby" }, member).command).toBe(
    "pgdba run role/set --role app --cluster c",
  );
});

test("what asks for a name once more is not answered ahead, and what needs a primary is known", async () => {
  const remedy = {
    runbooks: { "slot/drop": "{}", "session/terminate": "{}", "prepared/rollback": "{}" },
    runbook: "role/set",
  };
  const ctx = { ...fakeContext(), library: libraryWith() };
  const { yes, primary } = await mannersOf(ctx, [{ remedy } as unknown as Check]);
  expect([[...yes], [...primary].toSorted()]).toEqual([
    ["session/terminate"],
    ["prepared/rollback", "role/set"],
  ]);
});

test("what has a comment may be so on purpose: nothing is given to run that changes it", () => {
  const remedy = {
    text: "Enable it.",
    sql: "alter table t enable trigger a;",
    runbook: "table/trigger-enable",
    params: "{'table': 't'}",
    also: [
      { text: "Drop it", runbook: "index/drop", params: "{'index': 'i'}" },
      { text: "Look", runbook: "index/list", params: "{'index': 'i'}" },
    ],
  };
  expect(told(remedy, {}, { row: { comment: "" } }).sql).toBe(remedy.sql);
  const reads = ["index/list"];
  const held = told(remedy, {}, { row: { comment: "stays off" }, reads });
  expect(held).toMatchObject({ sql: null, runbook: null, params: null, command: null });
  expect(held.text).toBe(
    "Read its comment first: it may be so on purpose, and nothing that changes it stands here to be run. Where it is not: Enable it. (table trigger-enable)",
  );
  expect(held.also.map(({ runbook }) => runbook)).toEqual(["index/list"]);
  const looks = { text: "Look first.", runbook: "index/list", params: "{'index': 'i'}" };
  expect(told(looks, {}, { row: { comment: "stays" }, reads })).toMatchObject({
    text: "Look first.",
    runbook: "index/list",
  });
});
