import { expect, test } from "bun:test";
import { parse } from "yaml";
import type { Envelope, Json } from "../../../engine/types.ts";
import { formatEnvelope } from "../../../engine/view/format.ts";

const envelope = (data: Json, error: Envelope["error"] = null): Envelope => ({
  success: error === null,
  timestamp: "2026-02-22T10:00:00Z",
  command: "x y",
  data,
  error,
});
const asTable = (value: Envelope, columns = 80, color = false) =>
  formatEnvelope(value, "table", { color, columns, pretty: false });

test("json is one line for a program and indented for a person", async () => {
  const value = envelope({ a: [1, "é\u001b"] });
  const compact = await formatEnvelope(value, "json", { color: true, columns: 80, pretty: false });
  expect(compact.indexOf("\n")).toBe(compact.length - 1);
  expect(JSON.parse(compact)).toEqual(value);
  const pretty = await formatEnvelope(value, "json", { color: true, columns: 80, pretty: true });
  expect(pretty.split("\n")[1]).toBe('  "success": true,');
  expect(JSON.parse(pretty)).toEqual(value);
});

test("yaml reads back as the same, with YAML 1.1 words quoted", async () => {
  const value = envelope({
    answer: "no",
    number: "012",
    text: "a: b\n# c",
    list: [null, true, { x: 1 }],
  });
  const yaml = await formatEnvelope(value, "yaml", { color: false, columns: 20, pretty: false });
  expect(parse(yaml)).toEqual(value);
  expect(yaml).toContain('answer: "no"');
});

test("objects become keys and values, nested and aligned", async () => {
  const data = {
    name: "lab",
    up: true,
    tags: ["a", "b"],
    none: null,
    empty: [],
    deep: { port: 5432, sql: "SELECT 1\n  FROM t" },
  };
  expect(await asTable(envelope(data))).toBe(`name   lab
up     true
tags   a, b
none   -
empty  (none)
deep
  port  5432
  sql
    SELECT 1
      FROM t
`);
});

test("lists of objects become a table with numbers on the right, and wide characters counted as two", async () => {
  const data = {
    rows: [
      { name: "顧客😀", size: 5, more: { a: 1 } },
      { name: "ab", size: 12345, extra: "x" },
    ],
  };
  expect(await asTable(envelope(data))).toBe(`rows
  name     size  more  extra
  顧客😀      5  a 1
  ab      12345        x
`);
});

test("the widest column is wrapped to the terminal", async () => {
  const data = { rows: [{ id: 1, text: "one two three four five six seven 日本語日本語日本語" }] };
  const table = await asTable(envelope(data), 30);
  expect(table).toBe(`rows
  id  text
   1  one two three four five
      six seven
      日本語日本語日本語
`);
  expect(Math.max(...table.split("\n").map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(
    30,
  );
});

test("of many rows with too many columns the first columns are shown, and the others named", async () => {
  const rows = Array.from({ length: 6 }, () =>
    Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`column_${n}`, `value ${n}`])),
  );
  const table = await asTable(envelope({ rows }), 40);
  expect(table).toContain("  column_0  column_1  column_2  column_3\n  value 0   value 1");
  expect(table).toContain("JSON also has: column_4, column_5,\n");
  expect(table).not.toContain("value 4");
});

test("of columns that don't fit beside each other the longest text is kept", async () => {
  const rows = Array.from({ length: 6 }, (_, n) => ({
    share: n,
    total: n,
    calls: n,
    queryid: "1234567890123456789",
    query: "select something from somewhere where it is long enough",
  }));
  const table = await asTable(envelope({ rows }), 44);
  expect(table).toContain("share  total  calls  query\n");
  expect(table).toContain("JSON also has: queryid");
});

test("too many columns become records", async () => {
  const row = Object.fromEntries(
    Array.from({ length: 12 }, (_, n) => [`column_${n}`, `value ${n}`]),
  );
  const table = await asTable(envelope({ rows: [row] }), 40);
  expect(table).toContain("  column_11  value 11\n");
  expect(Math.max(...table.split("\n").map((line) => line.length))).toBeLessThanOrEqual(40);
});

test("data can't steer the terminal", async () => {
  const nasty = "a\u001b[2J\u0007\r\u202e\u009bb";
  const data = {
    [nasty]: nasty,
    rows: [{ [nasty]: nasty }],
    summary: nasty,
    findings: [{ severity: nasty, message: nasty }],
  };
  for (const value of [data, { rows: data.rows }, [nasty]]) {
    const shown = await asTable(envelope(value as Json), 200);
    // oxlint-disable-next-line no-control-regex -- they must not be there
    expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(shown).toContain("a\\x1b[2J\\x07\\x0d\\u202e\\x9bb");
  }
});

const report = {
  summary: { worst: "critical", counts: { critical: 1, warning: 1 } },
  findings: [
    {
      check: "late",
      severity: "warning",
      message: "statistics are old",
      remedy: { sql: "ANALYZE\n  t;" },
      evidence: [],
    },
    {
      check: "wraparound",
      title: "Transaction ids run out",
      severity: "critical",
      message: "database lab is 1900000000 transactions old",
      remedy: ["Find what holds the horizon.", "VACUUM (FREEZE) big;"],
      evidence: Array.from({ length: 7 }, (_, n) => ({ table: `t${n}`, age: n })),
    },
    { check: "fine", severity: "ok", message: "all good" },
  ],
  skipped: [{ check: "wal", reason: "needs pg_monitor" }],
};

test("summary and findings make a report, the worst first", async () => {
  expect(await asTable(envelope(report))).toBe(`worst critical · counts critical 1, warning 1

✖ 1 critical
  Transaction ids run out
    database lab is 1900000000 transactions old
      table  age
      t0       0
      t1       1
      t2       2
      t3       3
      t4       4
      … 2 more rows
    → Find what holds the horizon.
    → VACUUM (FREEZE) big;

▲ 1 warning
  late
    statistics are old
    → ANALYZE
        t;

✔ 1 ok
  fine

skipped
  check  reason
  wal    needs pg_monitor
`);
});

test("of findings that were cut, the summary's number stands, and how many are not shown", async () => {
  const findings = [{ severity: "warning", message: "one" }];
  expect(await asTable(envelope({ summary: { warning: 3, ok: 5 }, findings }))).toBe(
    "warning 3 · ok 5\n\n▲ 3 warning\n    one\n  … and 2 more\n",
  );
});

test("what a finding leads to stands below it, what is alike on one line", async () => {
  const leaf = (severity: string, title: string, object: string, consequences: Json[] = []) => ({
    severity,
    title,
    object,
    message: `${title} of ${object}`,
    consequences,
  });
  const dead = ["a", "b", "c", "d", "e", "f", "g"].map((name) => leaf("info", "Dead", name));
  const text = await asTable(
    envelope({
      summary: "s",
      findings: [
        {
          ...leaf("warning", "Cause", "pid 1", [
            leaf("warning", "Held", "slot x", dead),
            ...["P", "Q", "R", "S", "T", "U", "V"].map((title) => leaf("info", title, "o")),
          ]),
          alike: [{ object: "pid 2" }, { object: "pid 3" }],
        },
      ],
    }),
  );
  expect(text.split("\n")).toEqual([
    "s",
    "",
    "▲ 1 warning",
    "  Cause",
    "    Cause of pid 1",
    "    also pid 2, pid 3",
    "    leads to",
    "      ▲ Held: Held of slot x",
    "        ● 7 × Dead: a, b, c, d, e, 2 more",
    "      ● P: P of o",
    "      ● Q: Q of o",
    "      ● R: R of o",
    "      ● S: S of o",
    "      ● T: T of o",
    "      … 2 more",
    "",
  ]);
});

test("findings of another shape are plain data", async () => {
  expect(await asTable(envelope({ summary: "s", findings: [{ severity: "bad" }] }))).toBe(
    "summary  s\nfindings\n  severity\n  bad\n",
  );
});

const run = {
  id: "r1",
  runbook: "failover/trigger",
  status: "undone",
  duration_ms: 61_500,
  warnings: ["lag is rising"],
  steps: [
    { path: "before", status: "ok", duration_ms: 12, attempts: 1, changed: false, error: null },
    {
      path: "each/3/kill",
      status: "failed",
      duration_ms: 1200,
      attempts: 3,
      changed: true,
      error: { message: "gone\nfor good" },
    },
  ],
  steps_not_listed: 4,
  undo: { undone: 1, failed: [{ path: "kill", error: { message: "no" } }] },
};
const runText = `↩ failover/trigger · undone · 1m02s · r1
  ▲ lag is rising
  ✔ before         12ms  ok
  ✖ each/3/kill    1.2s  failed, changed, 3 attempts
      gone for good
  … 4 more steps
  ↩ 1 step undone
  ✖ undo of kill failed: no
`;

test("the run stands below the data; steps by id are read too", async () => {
  expect(await asTable(envelope({ seconds: 1.5, run }))).toBe(`seconds  1.5\n\n${runText}`);
  const byId = Object.fromEntries(run.steps.map((step) => [step.path, step]));
  expect(await asTable(envelope({ run: { ...run, steps: byId } }))).toBe(runText);
  expect(await asTable(envelope({ run: "r1" }))).toBe("run  r1\n");
});

test("an error shows its place, its frame and what to do, then the run", async () => {
  const error = {
    code: "invalid_runbook" as const,
    message: "unknown step befor",
    step: "lag",
    where: { file: "a.yaml", line: 3, column: 7 },
    hint: "Did you mean before?",
    retryable: true,
    data: {
      diagnostics: [
        {
          severity: "error",
          rule: "unknown-step",
          message: "unknown step befor",
          where: { file: "a.yaml", line: 3, column: 7 },
          frame: "3 | that: steps.befor\n  |             ^",
          hint: "before",
        },
      ],
    },
    run,
  };
  expect(await asTable(envelope(null, error))).toBe(`✖ unknown step befor
  invalid_runbook at step lag, a.yaml:3:7, it may succeed later without a change
  error a.yaml:3:7: unknown step befor [unknown-step]
    3 | that: steps.befor
      |             ^
    → before
→ Did you mean before?

${runText}`);
});

test("of the cases of a test those that failed are shown, a problem on a line", async () => {
  const error = {
    code: "test_failed" as const,
    message: "1 of 2 cases failed",
    step: null,
    where: null,
    hint: "Each case says what came.",
    retryable: false,
    data: {
      passed: 1,
      failed: 1,
      cases: [
        { runbook: "team/a", name: "one", passed: true, problems: [] },
        { runbook: "team/a", name: "two", passed: false, problems: ["a.test.yaml:1:1: exit", "x"] },
      ],
    },
  };
  expect(await asTable(envelope(null, error))).toBe(`✖ 1 of 2 cases failed
  test_failed
  failed team/a: two
    a.test.yaml:1:1: exit
    x
  passed  1
  failed  1
→ Each case says what came.
`);
});

test("a failed assertion shows the trace once", async () => {
  const trace = { value: false, parts: [{ source: "1 > 2", value: false }], text: "1 > 2  false" };
  const error = {
    code: "assertion_failed" as const,
    message: "no",
    step: null,
    where: null,
    hint: null,
    retryable: false,
    data: { ...trace, extra: 1 },
  };
  expect(await asTable(envelope(null, error))).toBe(
    "✖ no\n  assertion_failed\n  1 > 2  false\n  extra  1\n",
  );
});

test("nothing to say is said", async () => {
  expect(await asTable(envelope(null))).toBe("✔ x y\n");
});

test("colours only when asked", async () => {
  expect(await asTable(envelope(report), 80, true)).toContain("\x1b[31m");
  expect(await asTable(envelope(report), 80, false)).not.toContain("\x1b");
});

test("very long lists and very wide cells stay quick", async () => {
  const rows = Array.from({ length: 150_000 }, (_, n) => ({ id: n }));
  expect((await asTable(envelope({ rows }))).split("\n")).toHaveLength(150_003);
  const wide = await asTable(envelope({ rows: [{ id: 1, text: "x".repeat(200_000) }] }), 100);
  expect(wide.split("\n").length).toBeGreaterThan(2000);
});
