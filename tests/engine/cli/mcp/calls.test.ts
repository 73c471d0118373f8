import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BuiltinIndex, IndexedRunbook } from "../../../../engine/cli/front.ts";
import type { Door } from "../../../../engine/cli/mcp/call.ts";
import { callOfCommand, withCalls } from "../../../../engine/cli/mcp/calls.ts";

const file = join(import.meta.dir, "../../../../runbooks/_index.json");
const { documents } = JSON.parse(readFileSync(file, "utf8")) as BuiltinIndex;
const runbooks = new Map<string, IndexedRunbook>(
  Object.entries(documents).flatMap(([name, { runbook }]) => (runbook ? [[name, runbook]] : [])),
);
const open: Door = { runbooks, fixed: [], confirms: false, target: null };
const AT = "--host 127.0.0.1 --port 5432 --user postgres --database shop";
const target = { host: "127.0.0.1", port: 5432, user: "postgres", database: "shop" };

test.each<[string, object | null]>([
  [
    `pgdba run config/apply --settings '{"autovacuum":"on"}' ${AT}`,
    {
      tool: "run",
      arguments: { runbook: "config/apply", params: { settings: { autovacuum: "on" } }, target },
    },
  ],
  [
    "pgdba run session/terminate --pid 42 --started '2026-01-01 10:00:00+00' --yes --cluster lab",
    {
      tool: "run",
      arguments: {
        runbook: "session/terminate",
        params: { pid: 42, started: "2026-01-01 10:00:00+00" },
        target: { cluster: "lab" },
      },
    },
  ],
  // The answer to the question is a person's.
  [
    `pgdba slot drop late --confirmed late --yes ${AT}`,
    { tool: "run", arguments: { runbook: "slot/drop", params: { slot: "late" }, target } },
  ],
  ["pgdba slot drop 'a \"b\"' and-no-more", null],
  [
    `pgdba run maintenance/vacuum --table '["\\"Ödd \\"\\"S\\".t"]' --no-analyze`,
    {
      tool: "run",
      arguments: {
        runbook: "maintenance/vacuum",
        params: { table: ['"Ödd ""S".t'], analyze: false },
      },
    },
  ],
  [
    "pgdba locks tree --cluster lab",
    { tool: "run_read", arguments: { runbook: "locks/tree", target: { cluster: "lab" } } },
  ],
  [
    "pgdba config apply --settings '{}' --plan",
    { tool: "plan", arguments: { runbook: "config/apply", params: { settings: {} } } },
  ],
  [
    "pgdba view refresh v --exclusive --yes",
    { tool: "run", arguments: { runbook: "view/refresh", params: { view: "v", exclusive: true } } },
  ],
  ["pgdba list who blocks whom", { tool: "find", arguments: { words: "who blocks whom" } }],
  ["pgdba show locks/tree", { tool: "show", arguments: { runbook: "locks/tree" } }],
  ["pgdba runs", { tool: "status", arguments: {} }],
  // A person's: a file of the machine, what never ends, what takes the word of a person, what pgdba itself takes.
  ["pgdba config apply --file settings.yaml", null],
  ["pgdba health serve --cluster lab", null],
  ["pgdba resume 20260101-abc --give-up", null],
  ["pgdba runs verify", null],
  ["pgdba health check --runbooks /tmp", null],
  ["pgdba cluster destroy --cluster c --without-backup c", null],
  // It can't be called as it stands.
  ["pgdba health check --host db2 --port PORT_OF_THE_STANDBY", null],
  // No command.
  ["pgdba session terminate PID --yes", null],
  ["pgdba locks tree shows them", null],
  ["pgdba config apply --settings '{\"a… (12 more characters)", null],
  ["SELECT", null],
])("%s", (command, call) => {
  expect(callOfCommand(command, open) as object | null).toEqual(call);
});

test.each<[string, string]>([
  ["`pgdba session list` shows the pid", '`run_read {"runbook":"session/list"}` shows the pid'],
  [
    "pgdba role list shows those there are.",
    'run_read {"runbook":"role/list"} shows those there are.',
  ],
  [
    "pgdba locks tree --cluster lab shows them; or `pgdba session list PID`.",
    'run_read {"runbook":"locks/tree","target":{"cluster":"lab"}} shows them; or `run_read {"runbook":"session/list","params":{"pid":"PID"}} (fill in params.pid first)`.',
  ],
  [
    "Ask itself: pgdba health check --host HOST_OF_THE_STANDBY --port PORT_OF_THE_STANDBY",
    'Ask itself: run_read {"runbook":"health/check","target":{"host":"HOST_OF_THE_STANDBY","port":"PORT_OF_THE_STANDBY"}} (fill in target.host, target.port first)',
  ],
  [
    "look first: pgdba slot drop a --confirmed a --yes",
    'look first: run {"runbook":"slot/drop","params":{"slot":"a"}}',
  ],
  [
    "(pgdba replica rejoin pg2 --yes), or add one (pgdba replica add).",
    '(run {"runbook":"replica/rejoin","params":{"name":"pg2"}}), or add one (run {"runbook":"replica/add"}).',
  ],
  [
    "pgdba health check with --host of that standby",
    'run_read {"runbook":"health/check"} with --host of that standby',
  ],
  ["`pgdba list --kind check` shows them", "`pgdba list --kind check` shows them"],
  [
    "pgdba restarts no server, and pgdba list nothing",
    "pgdba restarts no server, and find {} nothing",
  ],
  [
    "pgdba session terminate --role appl… (30 more characters)",
    "pgdba session terminate --role appl… (30 more characters)",
  ],
  [
    'pgdba config apply --settings \'{"work_mem": "6… (30 more characters)',
    'pgdba config apply --settings \'{"work_mem": "6… (30 more characters)',
  ],
  [".pgdba/runbooks and pgdba wal push stay", ".pgdba/runbooks and pgdba wal push stay"],
])("in a text: %s", (text, told) => {
  expect(withCalls(text, open)).toBe(told);
});

test("where the agent may confirm, its confirmations go along", () => {
  const door = { ...open, confirms: true };
  expect(callOfCommand("pgdba slot drop a --confirmed a --yes", door)?.arguments).toEqual({
    runbook: "slot/drop",
    params: { slot: "a", confirmed: "a" },
    yes: true,
  });
});

test("a call without a target of its own has that of the call that is answered", () => {
  const door = { ...open, target: { cluster: "lab" } };
  expect(callOfCommand("pgdba locks tree", door)?.arguments["target"]).toEqual({ cluster: "lab" });
  // It works on none.
  expect(callOfCommand("pgdba cluster list", door)?.arguments).toEqual({ runbook: "cluster/list" });
});

test.each<[string, string[], object | null]>([
  ["pgdba locks tree --cluster a", ["--cluster=a"], {}],
  ["pgdba locks tree", ["--cluster=a"], {}],
  ["pgdba locks tree --cluster b", ["--cluster=a"], null],
  ["pgdba locks tree --cluster a --host pg2", ["--cluster=a"], null],
  ["pgdba locks tree --cluster a", ["--cluster=a", "--host=pg2"], null],
  ["pgdba locks tree --cluster a --database d", ["--cluster=a"], { target: { database: "d" } }],
  ["pgdba locks tree --cluster a --database d", ["--cluster=a", "--database=d"], {}],
  ["pgdba locks tree --cluster a --database e", ["--cluster=a", "--database=d"], null],
  [`pgdba locks tree ${AT}`, ["--host=127.0.0.1"], { target: { database: "shop" } }],
  [`pgdba locks tree ${AT}`, ["--host=127.0.0.1", "--port=5433"], null],
])("%s where the target is fixed to %p", (command, fixed, rest) => {
  const call = callOfCommand(command, { ...open, fixed });
  expect(call === null ? null : call.arguments).toEqual(
    rest === null ? null : { runbook: "locks/tree", ...rest },
  );
});

test("a text that is made of commands is read in a moment, and a command of very many words stays", () => {
  for (const text of ["pgdba list ", "pgdba role list a ", `pgdba role list ${"a ".repeat(50)}`]) {
    const began = performance.now();
    withCalls(text.repeat(32_000 / text.length), open);
    // Minutes, when each word was taken for the last of each command before it.
    expect(performance.now() - began).toBeLessThan(10_000);
  }
  const long = `then pgdba maintenance reindex ${"a ".repeat(80)}--yes`;
  expect(withCalls(long, open)).toBe(long);
});
