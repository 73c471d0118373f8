import { afterAll, expect, test, setDefaultTimeout } from "bun:test";
import { Ajv } from "ajv";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Event, JsonObject } from "../../engine/types.ts";
import {
  at,
  cli,
  place,
  raw,
  removePlaces,
  runbooks,
  runId,
  statuses,
  stepTypes,
  write,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const says = (what: string, risk = "read") =>
  `summary: ${what}\nrisk: ${risk}\nsteps:\n  - set: {from: "'${what}'"}\noutput: {from: steps.set_1.output.from}\n`;

test.concurrent("a later layer wins: built in, machine, user, project, --runbooks; show tells what it overrides", async () => {
  const p = place();
  const from = async (...more: string[]) =>
    at((await cli(["demo", "layer", ...more], p)).envelope, "data", "from");
  const places = [
    ["system", "etc/runbooks/demo/layer.yaml"],
    ["user", "home/runbooks/demo/layer.yaml"],
    ["project", "cwd/.pgdba/runbooks/demo/layer.yaml"],
  ] as const;
  for (const [layer, file] of places) {
    write(p.root, { [file]: says(layer) });
    expect(await from()).toBe(layer);
  }
  write(p.root, { "one/demo/layer.yaml": says("one"), "two/demo/layer.yaml": says("two") });
  expect(await from("--runbooks", join(p.root, "one"))).toBe("one");
  expect(await from("--runbooks", join(p.root, "one"), "--runbooks", join(p.root, "two"))).toBe(
    "two",
  );
  const shown = (await cli(["show", "demo/layer"], p)).envelope.data as JsonObject;
  expect(shown["layer"]).toBe("project");
  expect((shown["overrides"] as JsonObject[]).map((one) => one["layer"])).toEqual([
    "user",
    "system",
  ]);
  write(p.root, runbooks({ "health/check": says("mine") }));
  expect(
    at((await cli(["show", "health/check"], p)).envelope, "data", "overrides", 0, "layer"),
  ).toBe("builtin");
  // What overrides something destructive can't call itself harmless.
  write(p.root, {
    "etc/runbooks/demo/risky.yaml": says("risky", "disruptive"),
    ...runbooks({ "demo/risky": says("harmless", "read") }),
  });
  const lowered = await cli(["demo", "risky"], p);
  expect([lowered.exit, lowered.envelope.error?.code as string]).toEqual([2, "invalid_runbook"]);
  expect(lowered.envelope.error?.message).toContain("risk");
});

const BASE = `summary: base
risk: read
params: {limit: {type: integer, default: 5}}
steps:
  - id: one
    set: {a: params.limit}
  - id: two
    set: {b: "2"}
  - id: three
    set: {c: "3"}
output: {a: steps.one.output.a}
`;
const CHILD = `extends: demo/base
params: {limit: {default: 7}}
drop: [two]
steps:
  - id: three
    set: {c: "33"}
  - id: extra
    after: one
    set: {x: steps.one.output.a}
output: {x: steps.extra.output.x, c: steps.three.output.c}
`;

test.concurrent("extends replaces, drops, places and changes a default", async () => {
  const p = place(runbooks({ "demo/base": BASE, "demo/child": CHILD }));
  const ran = await cli(["demo", "child"], p);
  expect(ran.exit).toBe(0);
  expect(ran.envelope.data).toMatchObject({ a: 7, x: 7, c: 33 });
  expect(Object.keys(statuses(ran))).toEqual(["one", "extra", "three"]);
  expect(at((await cli(["demo", "child", "--limit", "9"], p)).envelope, "data", "a")).toBe(9);
});

test.concurrent("the operator's configuration alone lets step types of users in", async () => {
  const files = stepTypes({ "t.hello": `async run() { return { hello: "world" } }` });
  const p = place({
    ...files,
    ...runbooks({ "t/hello": "summary: s\nrisk: read\nsteps:\n  - t.hello: {}\n" }),
  });
  expect((await cli(["t", "hello"], p)).exit).toBe(0);
  // The project can't allow itself.
  writeFileSync(join(p.home, "config.yaml"), "user_steps: false\n");
  write(p.root, { "cwd/.pgdba/config.yaml": "user_steps: true\n" });
  const refused = await cli(["t", "hello"], p);
  expect(refused.exit).toBe(2);
  expect(refused.envelope.error?.message).toContain("t.hello");
});

const FULL = `summary: Whatever
description: Longer.
risk: change
needs: [postgres]
params:
  name: {type: string, required: true, positional: 1, description: A name}
  count: {type: integer, default: 3, minimum: 1}
  token: {type: string, secret: true}
steps:
  - id: look
    sql.query: {sql: select 1 as n}
  - id: guard
    block:
      - id: each
        foreach: [1, 2]
        when: index > 0
        wait: {for: 1ms}
    always:
      - id: closing
        wait: {for: 1ms}
output: {n: steps.look.output.row_count}
`;

test.concurrent("list and show hold all an agent chooses by", async () => {
  const p = place(runbooks({ "team/full": FULL }));
  const list = at((await cli(["list", "--full"], p)).envelope, "data", "runbooks") as JsonObject[];
  expect(list.length).toBeGreaterThan(1);
  for (const entry of list) {
    expect(Object.keys(entry)).toEqual(
      expect.arrayContaining([
        "name",
        "summary",
        "risk",
        "needs",
        "gives",
        "locks",
        "hazards",
        "params",
        "output",
        "layer",
        "overrides",
      ]),
    );
    expect(entry["params"]).toMatchObject({ type: "object", additionalProperties: false });
  }
  expect(list.find((one) => one["name"] === "team/full")).toMatchObject({
    layer: "project",
    risk: "change",
    needs: ["postgres"],
    output: { properties: { n: { type: "integer" } } },
  });
  // Whoever chooses reads all of it: what is inside of an output is for `show`.
  for (const { output } of list as { output: { properties: object } }[])
    for (const of of Object.values(output.properties))
      expect(["type", "description"]).toEqual(expect.arrayContaining(Object.keys(of)));
  const shown = (await cli(["show", "team", "full"], p)).envelope.data as JsonObject;
  expect(shown).toMatchObject({
    name: "team/full",
    description: "Longer.",
    risk: "change",
    params: {
      required: ["name"],
      properties: { name: { type: "string" }, count: { type: "integer", default: 3, minimum: 1 } },
    },
    output: { type: "object", properties: { n: { type: "integer" } } },
    steps: [
      { id: "look", type: "sql.query" },
      {
        id: "guard",
        block: [{ id: "each", foreach: [1, 2], when: "index > 0" }],
        always: [{ id: "closing" }],
      },
    ],
  });
  // The chart tells the same as the graph: whoever wants it asks for it.
  expect(shown["mermaid"]).toBeUndefined();
  const whole = (await cli(["show", "team", "full", "--full"], p)).envelope.data as JsonObject;
  const chart = await cli(["show", "team", "full", "--select", "mermaid"], p);
  expect(chart.envelope.data).toEqual({ mermaid: whole["mermaid"]! });
  for (const id of ["look", "each", "closing"]) {
    expect(String(shown["graph"])).toContain(id);
    expect(String(whole["mermaid"])).toContain(id);
  }
});

const WRONG = `summary: s
risk: read
params: {limit: {type: integer, default: 1}}
steps:
  - id: first
    exec: {argv: ['true'], effect: read}
  - set: {a: steps.frist.output.stdout}
  - set: {b: params.limti}
  - set: {c: steps.first.output.exit_cod}
  - sett: {d: 1}
  - when: params.limit == 'x'
    set: {e: 1}
  - when: "{{params.limit}} > 1"
    set: {f: 1}
  - sql.query: {sql: "select '{{params.limit}}'"}
`;

test.concurrent("lint finds all that is wrong with a document at once, each at its place", async () => {
  const p = place(runbooks({ "team/wrong": WRONG }));
  const ran = await cli(["lint", "team/wrong"], p);
  expect(ran.exit).toBe(2);
  const found = at(ran.envelope, "error", "data", "diagnostics") as unknown as {
    message: string;
    hint?: string;
    where: { line: number; column: number };
    frame: string;
  }[];
  expect(found.map(({ where }) => where.line)).toEqual([7, 8, 9, 10, 11, 13, 15]);
  const lines = WRONG.split("\n");
  const words = ["frist", "limti", "exit_cod", "sett"];
  for (const [index, word] of words.entries()) {
    const { where, hint, frame } = found[index]!;
    expect({ word, at: lines[where.line - 1]!.slice(where.column - 1).startsWith(word) }).toEqual({
      word,
      at: true,
    });
    expect({ word, hint: /Did you mean/.test(hint ?? "") }).toEqual({ word, hint: true });
    expect(frame).toContain("^");
    expect(ran.stderr).toContain(`wrong.yaml:${where.line}:${where.column}: error: `);
  }
  // Nothing of it runs.
  expect((await cli(["team", "wrong"], p)).exit).toBe(2);
  const file = await cli(["lint", ".pgdba/runbooks/team/wrong.yaml"], p);
  expect((at(file.envelope, "error", "data", "diagnostics") as unknown[]).length).toBe(
    found.length,
  );
});

test.concurrent("pgdba test passes and fails as the cases say, and touches nothing", async () => {
  const p = place({
    ...runbooks({
      "team/act":
        "summary: s\nrisk: change\nsteps:\n  - id: act\n    exec: {argv: [touch, acted]}\noutput: {code: steps.act.output.exit_code}\n",
    }),
    "cwd/.pgdba/runbooks/team/act.test.yaml": `cases:
  - name: acts
    fixtures: {act: {output: {exit_code: 0, stdout: "", stderr: "", truncated: false}}}
    expect: {steps: {act: ok}, output: {code: 0}}
  - name: without a fixture
    expect: {exit: 0}
  - name: expects too much
    fixtures: {act: {output: {exit_code: 0, stdout: "", stderr: "", truncated: false}}}
    expect: {output: {code: 1}}
`,
  });
  const ran = await cli(["test", "team/act"], p);
  expect(ran.exit).toBe(1);
  expect(ran.envelope.error?.code).toBe("test_failed");
  const cases = at(ran.envelope, "error", "data", "cases") as { name: string; passed: boolean }[];
  expect(cases.map(({ name, passed }) => [name, passed])).toEqual([
    ["without a fixture", false],
    ["expects too much", false],
    ["acts", true],
  ]);
  expect(await Bun.file(join(p.cwd, "acted")).exists()).toBe(false);
});

test.concurrent("schema, runs, report and events tell of a run completely", async () => {
  const p = place(
    runbooks({
      "team/noop": says("noop"),
      "team/fails":
        "summary: s\nrisk: change\nsteps:\n  - id: made\n    exec: {argv: ['true']}\n    undo: [{exec: {argv: ['true']}}]\n  - assert: {that: 1 == 2, message: '<b>no</b>'}\n",
    }),
  );
  const schema = (await cli(["schema"], p)).envelope.data as JsonObject;
  expect(schema["$schema"]).toBe("http://json-schema.org/draft-07/schema#");
  const out = await cli(["schema", "--out", "schema.json"], p);
  expect(out.exit).toBe(0);
  expect(JSON.parse(readFileSync(join(p.cwd, "schema.json"), "utf8"))).toEqual(schema);

  const ran = await cli(["team", "fails", "--events", "events.ndjson"], p);
  expect(ran.exit).toBe(5);
  const id = runId(ran);
  const shown = (await cli(["runs", id.slice(0, -1)], p)).envelope.data as JsonObject;
  expect(shown).toMatchObject({
    id,
    runbook: "team/fails",
    status: "undone",
    exit: 5,
    error: { code: "assertion_failed" },
  });
  expect((shown["steps"] as JsonObject[]).map((step) => [step["path"], step["status"]])).toEqual([
    ["made", "ok"],
    ["assert_1", "failed"],
    ["made~undo/exec_1", "ok"],
  ]);

  const events = readFileSync(join(p.cwd, "events.ndjson"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Event);
  expect(events.every((event) => event.run === id && !Number.isNaN(Date.parse(event.at)))).toBe(
    true,
  );
  const kinds = events.map((event) => event.kind);
  expect(kinds[0]).toBe("run.started");
  expect(kinds.at(-1)).toBe("run.finished");
  expect(events.at(-1)).toMatchObject({ status: "undone", exit: 5 });
  const paths = (kind: string) =>
    events
      .filter((event) => event.kind === kind)
      .map((event) => ("path" in event ? event.path : ""));
  expect(paths("step.started").toSorted()).toEqual(paths("step.finished").toSorted());
  expect(paths("undo.started")).toEqual(paths("undo.finished"));
  expect(paths("step.finished")).toContain("assert_1");

  const html = await cli(["runs", id, "--html", "report.html"], p);
  expect(html.exit).toBe(0);
  const report = readFileSync(join(p.cwd, "report.html"), "utf8");
  expect(report).toContain(id);
  expect(report).not.toContain("<b>no</b>");
  // Self-contained: it fetches nothing.
  expect(report).not.toMatch(/(src|href)\s*=\s*["']?(https?:)?\/\//);
  const limited = await cli(["runs", "--limit", "1"], p);
  expect((at(limited.envelope, "data", "runs") as unknown[]).length).toBe(1);
});

test.concurrent("what a run gives fits the schema that list and show publish for it", async () => {
  const p = place(runbooks({ "team/noop": says("noop") }));
  const names = [
    ["team/noop", "team", "noop"],
    [
      "config/tune",
      "config",
      "tune",
      "oltp",
      "--memory",
      "8GB",
      "--cpus",
      "4",
      "--pg-version",
      "18",
    ],
  ];
  const list = at((await cli(["list", "--full"], p)).envelope, "data", "runbooks") as JsonObject[];
  for (const [name, ...args] of names) {
    const schema = list.find((one) => one["name"] === name)!["output"] as JsonObject;
    const shown = (await cli(["show", name!, "--full"], p)).envelope.data as JsonObject;
    const ran = await cli(args, p);
    expect(ran.exit).toBe(0);
    const whole = shown["output"] as JsonObject;
    for (const one of [schema, whole]) {
      const check = new Ajv({ strict: false, logger: false }).compile(one);
      expect([name, check(ran.envelope.data), check.errors ?? []]).toEqual([name, true, []]);
    }
    // The list has the names; what is inside of each, and the run itself, only the page of the runbook.
    expect([...Object.keys(schema["properties"] as JsonObject), "run"]).toEqual(
      Object.keys(whole["properties"] as JsonObject),
    );
  }
});

test.concurrent("a test file that tests nothing, or is none, fails and hides no other", async () => {
  const p = place({
    ...runbooks({ "team/noop": says("noop"), "team/other": says("other") }),
    "cwd/.pgdba/runbooks/team/noop.test.yaml": "cases: [{name: runs, expect: {status: ok}}]\n",
    "cwd/.pgdba/runbooks/team/other.test.yaml": "cases: [{name: typo, expct: {}}]\n",
    "cwd/.pgdba/runbooks/team/nop.test.yaml": "cases: [{name: never run, expect: {status: ok}}]\n",
  });
  const { exit, envelope } = await cli(["test", "--full"], p);
  expect(exit).toBe(1);
  const cases = at(envelope, "error", "data", "cases") as {
    runbook: string;
    passed: boolean;
    problems: string[];
  }[];
  const builtin = cases.filter(({ runbook }) => !/^(team\/|nop)/.test(runbook));
  expect(builtin.filter(({ passed }) => !passed)).toEqual([]);
  expect(builtin.map(({ runbook }) => runbook)).toContain("rehearsal/create");
  const own = cases.filter((one) => !builtin.includes(one));
  expect(Object.fromEntries(own.map((one) => [one.runbook, one.passed]))).toEqual({
    "nop.test.yaml": false,
    "team/noop": true,
    "team/other": false,
  });
  const problems = cases.flatMap((one) => one.problems).join("\n");
  expect(problems).toContain(
    "nop.test.yaml:1:1: there is no runbook that this would test. Did you mean noop.yaml?",
  );
  expect(problems).toMatch(/other\.test\.yaml:1:\d+: .*expct/);
  const unknown = await cli(["test", "team/nopp"], p);
  expect(unknown.envelope.error).toMatchObject({
    code: "unknown_runbook",
    hint: "Did you mean team/noop?",
  } as never);
});

test.concurrent("a Tab types no envelope, whatever stands on the line or in the environment", async () => {
  const p = place(runbooks({ "team/full": FULL }));
  for (const [line, env, out] of [
    [["--format", ""], {}, "auto\njson\ntable\nyaml\n"],
    [["health", "check", "--format=t"], {}, "--format=table\n"],
    [["--config", "/no/such"], {}, ":files\n"],
    [["team", "fu"], { PGDBA_FORMAT: "bad" }, null],
  ] as const) {
    const { stdout, exit } = await raw(["__complete", ...line], p, { env });
    expect(exit).toBe(0);
    expect(stdout).not.toContain("{");
    if (out !== null) expect(stdout).toBe(out);
  }
});

test.concurrent("completion works in a real bash", async () => {
  const p = place(runbooks({ "team/full": FULL }));
  const script = await raw(["completion", "bash"], p);
  expect(script.exit).toBe(0);
  writeFileSync(join(p.root, "completion.sh"), script.stdout);
  const bin = join(import.meta.dir, "../../engine");
  const bash = `set -e; PATH=${bin}:$PATH; source ${p.root}/completion.sh
complete -p pgdba >/dev/null
propose() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=\${#COMP_LINE}; COMPREPLY=()
  $(complete -p pgdba | sed 's/.*-F \\([^ ]*\\).*/\\1/') pgdba "\${@: -1}" "\${@: -2:1}"; echo "\${COMPREPLY[@]}"; }
propose pgdba te
propose pgdba team f
propose pgdba show team/
propose pgdba team full --co`;
  const child = Bun.spawn(["bash", "-c", bash], {
    cwd: p.cwd,
    env: p.env,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect({ exit: await child.exited, stderr }).toEqual({ exit: 0, stderr: "" });
  const [first, second, third, fourth] = stdout.split("\n");
  expect(first).toContain("team");
  expect(second!.trim()).toBe("full");
  expect(third).toContain("team/full");
  expect(fourth).toContain("--count");
});

test.concurrent("help of everything, and of every runbook", async () => {
  const p = place(runbooks({ "team/full": FULL }));
  const help = async (...args: string[]) => {
    const ran = await cli(args, p);
    expect({ args, exit: ran.exit }).toEqual({ args, exit: 0 });
    return String(at(ran.envelope, "data", "help") ?? JSON.stringify(ran.envelope.data));
  };
  const all = await help("help");
  for (const command of [
    "run",
    "list",
    "show",
    "lint",
    "test",
    "schema",
    "runs",
    "resume",
    "lab",
    "completion",
  ])
    expect(all).toContain(command);
  for (const command of ["list", "runs", "resume", "lab"])
    expect(await help(command, "--help")).toContain(command);
  for (const args of [
    ["team", "full", "--help"],
    ["run", "team/full", "--help"],
    ["help", "team", "full"],
  ]) {
    const text = await help(...args);
    for (const word of ["--name", "--count", "--token", "A name", "change"])
      expect({ args, word, there: text.includes(word) }).toEqual({ args, word, there: true });
  }
  expect(await help("team")).toContain("team full");
  expect(await help("help", "sql.query")).toContain("sql.query");
  expect(await help("help", "steps")).toContain("file.write");
  expect(await help()).toContain("pgdba");
  expect(at((await cli(["--version"], p)).envelope, "data", "version")).toBeString();
});

test.concurrent("no escape sequences with NO_COLOR, nor into pipes; colours when asked for", async () => {
  const p = place(runbooks({ "team/noop": says("noop") }));
  const text = async (env: Record<string, string>) => {
    const { stdout, stderr } = await raw(["team", "noop", "--format", "table"], p, { env });
    return stdout + stderr;
  };
  expect(await text({})).not.toContain("\x1b");
  expect(await text({ NO_COLOR: "1", FORCE_COLOR: "1" })).not.toContain("\x1b");
  expect(await text({ FORCE_COLOR: "1" })).toContain("\x1b[");
  const quiet = await raw(["team", "noop", "-q"], p);
  expect(quiet.stderr).toBe("");
});

test.concurrent("what file.write replaced is back when a later step fails, and a file it made is gone", async () => {
  const p = place(
    runbooks({
      "team/rewrite":
        "summary: s\nrisk: change\nsteps:\n  - file.write: {path: old.conf, content: new}\n  - file.write: {path: made.conf, content: new}\n  - assert: {that: 1 == 2, message: no}\n",
    }),
  );
  writeFileSync(join(p.cwd, "old.conf"), "as it was");
  const { exit, envelope } = await cli(["team", "rewrite"], p);
  expect(exit).toBe(5);
  expect(at(envelope, "error", "run", "undo")).toEqual({ undone: 2, failed: [] });
  expect(readFileSync(join(p.cwd, "old.conf"), "utf8")).toBe("as it was");
  expect(await Bun.file(join(p.cwd, "made.conf")).exists()).toBe(false);
});
