import { expect, test } from "bun:test";
import { commandHelp, mainHelp, runbookHelp, type RunbookMeta } from "../../../engine/view/help.ts";

const flags = {
  yes: { type: "boolean", short: "y", summary: "Confirms" },
  cluster: { type: "string", summary: "Which one" },
} as const;
const meta: RunbookMeta = {
  name: "failover/trigger",
  summary: "Hand over the primary role.",
  description: "Waits for the standby first.",
  risk: "disruptive",
  hazards: ["fault"],
  needs: ["patroni"],
  gives: [],
  locks: ["roles"],
  params: {
    target: { type: "string", required: true, description: "Member to promote", examples: ["pg2"] },
    max_lag: { type: "string", format: "bytes", default: "1MB", description: "Refuse beyond" },
    mode: { enum: ["fast", "safe"], positional: 1 },
    password: { type: "string", secret: true, required: true },
    force: { type: "boolean", default: false },
  },
  output: { properties: { seconds: { type: "number", description: "How long it took" } } },
  layer: "builtin",
};

test("a list that is the last bare word is shown as several", () => {
  const list = { type: "array", items: { type: "string" } } as const;
  const usage = (params: RunbookMeta["params"]) =>
    /Usage\n {2}(.*)/.exec(runbookHelp({ ...meta, params }, flags))?.[1];
  expect(usage({ index: { ...list, positional: 1 } })).toBe(
    "pgdba failover trigger [index...] [flags]",
  );
  expect(usage({ index: { ...list, positional: 1 }, to: { type: "string", positional: 2 } })).toBe(
    "pgdba failover trigger [index] [to] [flags]",
  );
});

test("help of a runbook", () => {
  expect(runbookHelp(meta, flags)).toBe(`Hand over the primary role.

Waits for the standby first.

Usage
  pgdba failover trigger [mode] --target <string> --password <string> [flags]
  pgdba run failover/trigger …

Examples
  pgdba failover trigger --target pg2 --password env:NAME --cluster NAME --plan
  pgdba failover trigger --target pg2 --password env:NAME --cluster NAME --yes --i-know-what-i-am-doing

Parameters
  --target <string>    Member to promote (required)
  --max-lag <bytes>    Refuse beyond (default 1MB)
  --mode <choice>      (one of fast, safe)
  --password <string>  (required; secret: give env:NAME or file:PATH)
  --force              (default false)

Flags
  -y, --yes          Confirms
  --cluster <value>  Which one

Risk
  disruptive: others notice it, or it can't be taken back; needs --yes, or a confirmation on a terminal
  fault: breaks things on purpose; needs --i-know-what-i-am-doing and an explicit --cluster, and is refused on production
  needs: patroni
  locks: roles

Output
  seconds  number: How long it took

Exit codes
  0    done
  1    failed
  2    usage or invalid runbook
  3    a gate refused
  4    approval needed
  5    failed and undone
  6    failed, a person must look
  130  interrupted

Layer: builtin`);
});

test("an output that may come from several places is told as these have it", () => {
  const of = (schema: object): string | undefined =>
    runbookHelp({ ...meta, output: { properties: { leader: schema } } }, flags).match(
      /Output\n {2}leader {2}(.*)/,
    )?.[1];
  const named = { type: ["string", "null"], description: "Who leads" } as const;
  expect(of({ anyOf: [{ type: "null" }, named] })).toBe("string or null: Who leads");
  expect(of({ anyOf: [{}, { anyOf: [{ type: "array" }, { type: "null" }] }] })).toBe(
    "array or null",
  );
  expect(of({ description: "Anything", anyOf: [{}, { type: "null" }] })).toBe(
    "value or null: Anything",
  );
  expect(of({})).toBe("value");
});

test("risk decides what is asked for", () => {
  expect(runbookHelp({ ...meta, risk: "destructive" })).toContain("--confirm=NAME");
  expect(runbookHelp({ ...meta, risk: "read" })).toContain("--cluster lab --format table");
  expect(runbookHelp(meta)).toContain("--i-know-what-i-am-doing and an explicit --cluster");
  expect(runbookHelp({ ...meta, hazards: [] })).not.toContain("--i-know-what");
});

test("main help leads with examples", () => {
  const text = mainHelp(
    [{ name: "list", usage: "[<prefix>]", summary: "List the runbooks there are" }],
    new Map([["lab", ["down", "up"]]]),
    flags,
  );
  expect(text).toContain("Runbooks\n  lab  down, up\n");
  expect(text.indexOf("Examples")).toBeLessThan(text.indexOf("Commands"));
  expect(text).toContain("  list [<prefix>]  List the runbooks there are\n");
});

test("help of a command has its own flags first", () => {
  const text = commandHelp(
    {
      name: "runs",
      usage: "[<run id>]",
      summary: "What was run",
      flags: { html: { type: "string", summary: "Write a report" } },
      examples: ["pgdba runs"],
    },
    flags,
  );
  expect(text).toStartWith(
    "What was run\n\nUsage\n  pgdba runs [<run id>]\n\nExamples\n  pgdba runs\n\nFlags\n  --html <value>     Write a report\n",
  );
});

test("examples can be pasted into a shell, and hold what a runbook gives as an example", () => {
  const text = runbookHelp({
    ...meta,
    risk: "read",
    params: {
      definition: { type: "string", required: true, examples: ["CREATE INDEX i ON t (it's)"] },
      settings: { type: "object", examples: [{ work_mem: "64MB" }] },
      limit: { type: "integer", default: 5 },
    },
  });
  expect(text).toContain(
    `pgdba failover trigger --definition 'CREATE INDEX i ON t (it'\\''s)' --settings '{"work_mem":"64MB"}' --cluster lab`,
  );
});

test("an example names the lab only where it can be tried there, and no cluster where none is touched", () => {
  const examples = (more: Partial<RunbookMeta>) =>
    runbookHelp({ ...meta, params: {}, hazards: [], needs: [], locks: [], ...more }, {})
      .split("Examples\n")[1]!
      .split("\n\n")[0]!
      .split("\n")
      .map((line) => line.trim());
  expect(examples({ risk: "read", needs: ["patroni"] })).toEqual([
    "pgdba failover trigger --cluster lab --format table",
  ]);
  expect(examples({ risk: "read" })).toEqual(["pgdba failover trigger --format table"]);
  expect(examples({ risk: "change", needs: ["patroni"], locks: ["config"] })[1]).toBe(
    "pgdba failover trigger --cluster lab",
  );
  expect(examples({ risk: "change", locks: ["all"] })[1]).toBe(
    "pgdba failover trigger --cluster NAME",
  );
  expect(examples({ risk: "destructive", needs: ["patroni"] })[1]).toBe(
    "pgdba failover trigger --cluster NAME --confirm=NAME",
  );
});
