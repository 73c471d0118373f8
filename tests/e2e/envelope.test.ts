import { afterAll, expect, test, setDefaultTimeout } from "bun:test";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  at,
  cli,
  envelopeOf,
  type Place,
  place,
  raw,
  removePlaces,
  runbooks,
  runId,
  statuses,
  stepTypes,
} from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const NOOP =
  "summary: nothing\nrisk: read\nsteps:\n  - set: {a: 1}\noutput: {a: steps.set_1.output.a}\n";
const shared = place({
  ...runbooks({
    "team/noop": NOOP,
    "team/needy":
      "summary: s\nrisk: read\nparams: {name: {type: string, required: true}}\nsteps:\n  - set: {a: params.name}\n",
    "team/broken": "summary: s\nrisk: [\nsteps: }\n",
  }),
});

const refused: [string, string[], string, number, string][] = [
  ["an unknown command", ["heath", "chekc"], "unknown_command", 2, "health check"],
  ["an unknown resource", ["nonsense"], "unknown_command", 2, "help"],
  ["an unknown flag of a command", ["list", "--bogus"], "usage", 2, "--help"],
  ["a misspelt flag of a runbook", ["team", "needy", "--nmae", "x"], "usage", 2, "--name"],
  ["a missing value", ["team", "needy", "--name"], "usage", 2, "--name VALUE"],
  ["a missing parameter", ["team", "needy"], "invalid_param", 2, "--name"],
  ["a flag given twice", ["team", "needy", "--name", "a", "--name", "b"], "usage", 2, "once"],
  ["a switch with a value", ["team", "noop", "--plan=maybe"], "usage", 2, "--plan"],
  ["a word too many", ["team", "noop", "extra"], "usage", 2, "flags"],
  ["an unknown runbook", ["run", "team/nop"], "unknown_runbook", 2, "team/noop"],
  ["no runbook", ["run"], "usage", 2, "list"],
  ["an unknown format", ["list", "--format", "xml"], "usage", 2, "table"],
  ["broken YAML", ["run", "team/broken"], "invalid_runbook", 2, ""],
  ["an unknown run", ["runs", "nope"], "unknown_run", 2, "pgdba runs"],
  ["an unknown run to resume", ["resume", "nope"], "unknown_run", 2, "pgdba runs"],
  ["an unknown cluster", ["health", "check", "--cluster", "labb"], "no_target", 2, "lab"],
  ["no target", ["health", "check"], "capability_missing", 3, "--cluster"],
  ["an unknown shell", ["completion", "csh"], "usage", 2, "bash"],
  ["an unknown action of the lab", ["lab", "upp"], "unknown_command", 2, "lab up"],
  ["a folder that is not there", ["list", "--runbooks", "nowhere"], "invalid_config", 2, "folder"],
  ["an empty word", [""], "unknown_command", 2, "help"],
  ["a name of the prototype", ["constructor", "toString"], "unknown_command", 2, "help"],
  ["flags of the prototype", ["team", "noop", "--__proto__", "x"], "usage", 2, "--help"],
];

test.concurrent("whatever is refused prints one envelope with a code, a hint and the right exit code", async () => {
  for (const [what, args, code, exit, hint] of refused) {
    const ran = await cli(args, shared);
    expect({ what, exit: ran.exit, code: ran.envelope.error?.code }).toEqual({
      what,
      exit,
      code: code as never,
    });
    expect(ran.envelope.error?.hint ?? "", what).toContain(hint);
  }
});

test.concurrent("a name of three words is one everywhere: in a refusal, and for show and help", async () => {
  const words = ["team", "alerts", "list"];
  const text =
    "summary: s\nrisk: read\nneeds: [postgres]\nsteps:\n  - sql.query: {sql: select 1}\n";
  const p = place(runbooks({ [words.join("/")]: text }));
  const refused = (await cli(words, p)).envelope;
  expect([refused.command, refused.error?.code]).toEqual([
    "team alerts list",
    "capability_missing",
  ]);
  const shown = (await cli(["show", ...words], p)).envelope.data as { name: string };
  expect(shown.name).toBe("team/alerts/list");
  expect((await cli(["help", ...words], p)).exit).toBe(0);
});

const TYPES = {
  "t.throw": `async run() { throw new TypeError("boom") }`,
  "t.sync": `run() { throw new Error("boom") }`,
  "t.number": `async run() { throw 42 }`,
  "t.null": `async run() { throw null }`,
  "t.reject": `run() { return Promise.reject(new Error("boom")) }`,
  "t.overflow": `async run() { const deep = (n) => 1 + deep(n + 1); return { n: deep(0) } }`,
  "t.cycle": `async run() { const a = {}; a.a = a; return a }`,
  "t.bigint": `async run() { return { n: 1n } }`,
};

test.concurrent("a step type that throws, whatever it throws, fails the step and no more", async () => {
  const names = Object.keys(TYPES);
  const p = place({
    ...stepTypes(TYPES),
    ...runbooks(
      Object.fromEntries(
        names.map((type) => [
          type.replace(".", "/"),
          `summary: s\nrisk: read\nsteps:\n  - ${type}: {}\n`,
        ]),
      ),
    ),
  });
  for (const type of names) {
    const ran = await cli(["run", type.replace(".", "/")], p);
    expect({ type, exit: ran.exit, code: ran.envelope.error?.code }).toEqual({
      type,
      exit: 1,
      code: "step_failed",
    });
    expect(Object.values(statuses(ran)), type).toEqual(["failed"]);
    expect(ran.envelope.error?.where?.line, type).toBe(4);
  }
  const debug = await cli(["t", "throw"], p, { env: { PGDBA_DEBUG: "1" } });
  expect(debug.stderr).toContain("t.throw.ts");
});

test.concurrent("an error that nobody handles unwinds the run and is reported, not the success of the last step", async () => {
  const undoable = (file: string) =>
    `- exec: {argv: [touch, ${file}]}\n    undo:\n      - exec: {argv: [rm, ${file}]}`;
  const p = place({
    ...stepTypes({
      "t.stray": `async run() { void Promise.reject(new Error("stray")); await new Promise((r) => setTimeout(r, 50)); return {} }`,
      "t.lost": `effect: "change", risk: "change", run() { return new Promise(() => { setTimeout(() => { throw null }, 10) }) }`,
      "t.callback": `run() { return new Promise(() => { setTimeout(() => { throw new Error("in a callback") }, 10) }) }`,
    }),
    ...runbooks({
      "t/stray": `summary: s\nrisk: change\nsteps:\n  ${undoable("one")}\n  - t.stray: {}\n`,
      "t/lost": `summary: s\nrisk: change\nsteps:\n  ${undoable("three")}\n  - t.lost: {}\n`,
      "t/callback": `summary: s\nrisk: change\nsteps:\n  ${undoable("two")}\n  - t.callback: {}\n`,
    }),
  });
  const [stray, callback, lost] = await Promise.all(
    ["stray", "callback", "lost"].map((name) => cli(["t", name], p)),
  );
  for (const ran of [stray!, callback!]) {
    expect(ran.exit).toBe(5);
    expect(ran.envelope.error?.code).toBe("internal");
    expect(at(ran.envelope, "error", "run", "undo", "undone")).toBe(1);
  }
  expect(callback!.envelope.error?.message).toContain("in a callback");
  // A change that never ends can't be taken back: nobody knows whether it acted.
  expect(lost!.exit).toBe(6);
  expect(lost!.envelope.error?.code).toBe("needs_operator");
  expect(lost!.envelope.error?.hint).toContain(`pgdba resume ${runId(lost!)}`);
});

test.concurrent("a step type that ends the process leaves an envelope, exit 6 and a run that can be resumed", async () => {
  const p = place({
    ...stepTypes({ "t.exit": `async run(ctx) { if (!ctx.env.STAY) process.exit(0); return {} }` }),
    ...runbooks({
      "t/exit": "summary: s\nrisk: change\nsteps:\n  - set: {a: 1}\n  - t.exit: {}\n",
    }),
  });
  const ran = await cli(["t", "exit"], p);
  expect(ran.exit).toBe(6);
  expect(ran.envelope.error?.code).toBe("internal");
  const id = /resume (\S+?)`/.exec(ran.envelope.error!.hint!)![1]!;
  expect(at((await cli(["runs"], p)).envelope, "data", "runs", 0, "status")).toBe("dead");
  const again = await cli(["resume", id], p, { env: { STAY: "1" } });
  expect(again.exit).toBe(0);
  expect(runId(again)).toBe(id);
});

test.concurrent("what a step type prints does not reach stdout", async () => {
  const p = place({
    ...stepTypes({
      "t.print": `async run() { console.log("PRINTED 1"); console.info("PRINTED 2"); process.stdout.write("PRINTED 3\\n"); return {} }`,
    }),
    ...runbooks({ "t/print": "summary: s\nrisk: read\nsteps:\n  - t.print: {}\n" }),
  });
  const ran = await cli(["t", "print"], p);
  expect(ran.exit).toBe(0);
  for (const n of [1, 2, 3]) expect(ran.stderr).toContain(`PRINTED ${n}`);
});

test.concurrent("a broken step type is named with its place, and spoils no other runbook", async () => {
  const p = place({
    ...stepTypes({ "t.syntax": `async run( { ` }),
    ...runbooks({
      "t/syntax": "summary: s\nrisk: read\nsteps:\n  - t.syntax: {}\n",
      "t/fine": NOOP,
    }),
  });
  const broken = await cli(["t", "syntax"], p);
  expect(broken.exit).toBe(2);
  expect(broken.envelope.error?.message).toMatch(/t\.syntax\.ts:\d+:\d+/);
  expect(broken.envelope.error?.hint).toContain("step type");
  expect((await cli(["t", "fine"], p)).exit).toBe(0);
});

test.concurrent("yaml and table carry the same in other forms, a failure too", async () => {
  const { parse } = await import("yaml");
  const yaml = await raw(["team", "noop", "--format", "yaml"], shared);
  expect(Object.keys(parse(yaml.stdout) as object)).toEqual([
    "success",
    "timestamp",
    "command",
    "data",
    "error",
  ]);
  const failed = await raw(["team", "nope", "--format", "yaml"], shared);
  expect(failed.exit).toBe(2);
  expect((parse(failed.stdout) as { error: { code: string } }).error.code).toBe("unknown_command");
  const table = await raw(["team", "needy", "--name", "bob", "--format", "table"], shared);
  expect(table.exit).toBe(0);
  expect(table.stdout).toContain("team/needy");
  const failedTable = await raw(["run", "team/broken", "--format=table"], shared);
  expect(failedTable.exit).toBe(2);
  expect(failedTable.stdout).toContain("broken.yaml:3");
  // For people: a line each, not the schemas that agents choose by.
  const list = await raw(["list", "health/check", "--format", "table"], shared);
  expect(list.stdout).toMatch(/^health\/check +read +Examine [^\n]*\n$/);
  expect((await raw(["run", "--help", "--format", "table"], shared)).stdout).toContain("Usage");
  const runs = (await raw(["runs", "--limit", "1", "--format", "yaml"], shared)).stdout;
  const { id } = (parse(runs) as { data: { runs: { id: string }[] } }).data.runs[0]!;
  const run = await raw(["runs", id, "--format", "table"], shared);
  expect(run.stdout).toContain(`team/needy · ok`);
  // One envelope: no second copy of it in another format.
  expect(failedTable.stdout).not.toContain('"success"');
});

test.concurrent("the format: the flag before PGDBA_FORMAT before the configuration; auto is a table on a terminal alone", async () => {
  const p = place({ ...runbooks({ "team/noop": NOOP }), "home/config.yaml": "format: yaml\n" });
  const terminal = `python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$1"`;
  const out = async (command: string) => (await shell(command, p)).stdout;
  expect(await out('"$1" team noop')).toStartWith("success: true");
  expect(await out('PGDBA_FORMAT=json "$1" team noop')).toStartWith("{");
  expect(await out('PGDBA_FORMAT=json "$1" team noop --format yaml')).toStartWith("success: true");
  expect(await out('PGDBA_FORMAT=auto "$1" team noop')).toStartWith("{");
  expect(await out(`PGDBA_FORMAT=auto ${terminal} list team`)).toContain("team/noop");
  expect(await out(`PGDBA_FORMAT=auto ${terminal} list team`)).not.toContain("success");
  expect(await out(`PGDBA_FORMAT= ${terminal} list team --format json`)).toContain(
    '"success": true',
  );
  const wrong = await shell('PGDBA_FORMAT=xml "$1" list', p);
  expect(wrong.exit).toBe(2);
  rmSync(join(p.root, "home/config.yaml"));
  // JSON stays what comes when nobody chose, on a terminal too; help is for whoever sits there.
  expect(await out(`${terminal} list team`)).toContain('"success": true');
  expect(await out(`${terminal} help`)).toContain("Commands");
});

test.concurrent("--config names another configuration, which must be there and sound; -v tells where all came from", async () => {
  const p = place({
    ...runbooks({ "team/noop": NOOP }),
    "cwd/mine.yaml": "format: yaml\n",
    "cwd/bad.yaml": "fromat: yaml\n",
  });
  expect((await raw(["team", "noop", "--config", "mine.yaml"], p)).stdout).toStartWith("success");
  for (const file of ["none.yaml", "bad.yaml"]) {
    const refusal = await cli(["list", "--config", file], p);
    expect([refusal.exit, refusal.envelope.error?.code as string]).toEqual([2, "invalid_config"]);
  }
  const { stderr, stdout } = await raw(["team", "noop", "-v", "--config", "mine.yaml"], p);
  expect(stdout).toStartWith("success");
  for (const part of [
    /Runbook team\/noop of the layer project: .*noop\.yaml/,
    /Configuration: .*mine\.yaml\n/,
    /No policy is in force/,
    /No server had to be reached/,
    /start set_1 \(set: /,
  ])
    expect(stderr).toMatch(part);
});

async function shell(script: string, p: Place): Promise<{ exit: number; stdout: string }> {
  const pgdba = join(import.meta.dir, "../../engine/pgdba");
  const child = Bun.spawn(["bash", "-c", script, "bash", pgdba], {
    cwd: p.cwd,
    env: p.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const stdout = await new Response(child.stdout).text();
  return { exit: await child.exited, stdout };
}

test.concurrent("readers that go away and closed streams harm nothing", async () => {
  const p = place(
    runbooks({
      "team/work":
        "summary: s\nrisk: change\nsteps:\n  - exec: {argv: [sleep, '0.2']}\n  - exec: {argv: [touch, done]}\n",
    }),
  );
  const fine = async (script: string) => {
    rmSync(join(p.cwd, "done"), { force: true });
    const { exit, stdout } = await shell(script, p);
    expect({ script, exit, done: (await shell("test -e done", p)).exit }).toEqual({
      script,
      exit: 0,
      done: 0,
    });
    return stdout;
  };
  await fine(`set -o pipefail; "$1" team work | true; exit \${PIPESTATUS[0]}`);
  await fine(`"$1" team work 2> >(true)`);
  await fine(`"$1" team work >&- 2>&- <&-`);
  envelopeOf(await fine(`"$1" team work 2>&-`));
  envelopeOf(await fine(`"$1" team work <&-`));
  envelopeOf(await fine(`"$1" team work 2>/dev/full`));
  await fine(`"$1" team work >/dev/full`);
  // No stray byte went into the journal by way of a closed stream.
  expect(at((await cli(["runs"], p)).envelope, "data", "runs", "length" as never)).toBe(7 as never);
});

test.concurrent("a state folder that can't be used, or a broken journal, refuses before anything acts", async () => {
  const p = place(
    runbooks({
      "team/work": "summary: s\nrisk: change\nsteps:\n  - exec: {argv: [touch, done]}\n",
    }),
  );
  const refusedBy = async (home: string, exit = 6, code = "journal_failed") => {
    const ran = await cli(["team", "work"], p, { env: { PGDBA_HOME: home } });
    expect({ home, exit: ran.exit, code: ran.envelope.error?.code as string }).toEqual({
      home,
      exit,
      code,
    });
    expect(await Bun.file(join(p.cwd, "done")).exists()).toBe(false);
    return ran;
  };
  writeFileSync(join(p.root, "file"), "");
  await refusedBy(join(p.root, "file"), 1, "io_failed");
  await refusedBy("/proc/nowhere");
  for (const [name, bytes] of Object.entries({
    garbage: "x".repeat(8192),
    header: `SQLite format 3\0${"\xff".repeat(8192)}`,
  })) {
    mkdirSync(join(p.root, name));
    writeFileSync(join(p.root, name, "journal.db"), bytes);
    await refusedBy(join(p.root, name));
  }
  mkdirSync(join(p.root, "dir/journal.db"), { recursive: true });
  await refusedBy(join(p.root, "dir"));
  // What needs no journal still works.
  expect((await cli(["list"], p, { env: { PGDBA_HOME: join(p.root, "garbage") } })).exit).toBe(0);
});

test.concurrent("engines that begin on a new state folder at once all get their journal", async () => {
  const p = place(runbooks({ "team/noop": NOOP }));
  const all = await Promise.all(Array.from({ length: 6 }, () => cli(["team", "noop"], p)));
  expect(all.map((ran) => ran.exit)).toEqual([0, 0, 0, 0, 0, 0]);
});

test.concurrent("a configuration that can't be read is a clear refusal, and lists stay usable", async () => {
  const p = place({ "home/config.yaml": "formt: yaml\n", ...runbooks({ "team/noop": NOOP }) });
  const ran = await cli(["team", "noop"], p);
  expect(ran.exit).toBe(2);
  expect(ran.envelope.error?.code).toBe("invalid_config");
  expect(ran.envelope.error?.message).toContain("config.yaml");
  expect((await cli(["list"], p)).exit).toBe(0);
  chmodSync(join(p.home, "config.yaml"), 0o600);
});
