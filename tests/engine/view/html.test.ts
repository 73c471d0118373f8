import { expect, test } from "bun:test";
import type { Json } from "../../../engine/types.ts";
import { runReport } from "../../../engine/view/html.ts";
import type { RunRecord, StepRecord } from "../../../engine/view/run-record.ts";

const step = (path: string, more: Partial<StepRecord> = {}): StepRecord => ({
  path,
  id: path,
  type: "exec",
  status: "ok",
  changed: false,
  attempts: 1,
  started_at: "2026-02-22T10:00:01.000Z",
  duration_ms: 500,
  output: { rows: 1 },
  error: null,
  phase: "main",
  ...more,
});
const record = (more: Partial<RunRecord> = {}): RunRecord => ({
  id: "r1",
  runbook: "health/check",
  status: "undone",
  started_at: "2026-02-22T10:00:00.000Z",
  finished_at: "2026-02-22T10:00:04.000Z",
  duration_ms: 4000,
  target: "lab",
  risk: "change",
  plan: false,
  params: { a: 1 },
  steps: [
    step("one", { attempts: 3 }),
    step("two", {
      status: "failed",
      error: {
        code: "timeout",
        message: "late",
        step: "two",
        where: { file: "a.yaml", line: 3, column: 7 },
        hint: "wait",
        retryable: true,
        data: { text: "1 > 2  false" },
      },
    }),
    step("one", { phase: "undo", started_at: "2026-02-22T10:00:03.000Z" }),
  ],
  output: null,
  error: null,
  exit: 5,
  caller: "agent (PGDBA_CALLER)",
  holder: "ann@host, pid 7",
  ...more,
});

test("shows the facts, the steps with errors and frames, and the undo phase", () => {
  const page = runReport(record());
  for (const text of [
    "failed and undone",
    "a.yaml:3:7",
    "1 &gt; 2  false",
    "→ wait",
    "ann@host, pid 7",
    "↩ one",
    "4.0s",
    '"rows": 1',
  ]) {
    expect(page).toContain(text.replaceAll('"', "&quot;"));
  }
  expect(page.match(/<rect\s/g)).toHaveLength(3);
  expect(page.match(/class="attempt"/g)).toHaveLength(2);
  expect(page.match(/<rect\s+class="green undo"\s+x="7\d\d/g)).toHaveLength(1);
});

test("is self-contained", () => {
  const page = runReport(record());
  expect(page).not.toMatch(/(src|href)=|url\(|@import|https?:/);
  expect(page).toContain("default-src 'none'");
});

test("findings of any runbook become a table, the worst first", () => {
  const output: Json = {
    summary: { worst: "critical" },
    findings: [
      { severity: "warning", message: "later" },
      {
        severity: "critical",
        message: "sooner",
        why: "it stops",
        remedy: "VACUUM;",
        evidence: [{ table: "t<1>" }],
      },
    ],
  };
  const page = runReport(record({ output }));
  expect(page.indexOf("sooner")).toBeLessThan(page.indexOf("later"));
  expect(page).toContain("<td>t&lt;1&gt;</td>");
  expect(page).toContain("<pre>VACUUM;</pre>");
  expect(runReport(record())).not.toContain("<h2>Findings");
});

test("no data gets out of its place", () => {
  const nasty = `"'><script>alert(1)</script><img src=x onerror=alert(1)></style>\`\${x}\u0000`;
  const findings = [
    {
      severity: nasty,
      message: nasty,
      title: nasty,
      why: nasty,
      remedy: [nasty],
      evidence: [{ [nasty]: nasty }],
    },
  ];
  const error = {
    code: "timeout" as const,
    message: nasty,
    step: nasty,
    where: { file: nasty, line: 1, column: 1 },
    hint: nasty,
    retryable: false,
    data: { diagnostics: [{ message: nasty, frame: nasty }], text: nasty },
  };
  const page = runReport(
    record({
      id: nasty,
      runbook: nasty,
      target: nasty,
      holder: nasty,
      started_at: nasty,
      finished_at: nasty,
      error,
      params: { [nasty]: nasty },
      output: { summary: { [nasty]: nasty }, findings },
      steps: [
        step(nasty, { type: nasty, id: nasty, output: nasty, error }),
        step(nasty, { started_at: nasty, phase: "undo" }),
      ],
    }),
  );
  const elements: string[] = [];
  const attributes: string[] = [];
  new HTMLRewriter()
    .on("*", {
      element(element) {
        elements.push(element.tagName);
        for (const [name] of element.attributes) attributes.push(name);
      },
    })
    .transform(page);
  expect(elements.filter((name) => name === "script")).toHaveLength(1);
  expect(elements.filter((name) => name === "style")).toHaveLength(1);
  expect(elements).not.toContain("img");
  expect(attributes.filter((name) => name.startsWith("on"))).toEqual([]);
  expect(page.match(/<\/style>/g)).toHaveLength(1);
  expect(page).not.toContain("\u0000");
  expect(page.match(/&lt;script&gt;alert/g)?.length).toBeGreaterThan(20);
});

test("a run that never got anywhere, and one of thousands of steps", () => {
  const empty = runReport(
    record({ steps: [], status: "running", finished_at: null, duration_ms: null, exit: null }),
  );
  expect(empty).toContain("No step was started.");
  const long = runReport(record({ steps: Array.from({ length: 3000 }, (_, n) => step(`s${n}`)) }));
  expect(long.match(/<rect\s/g)).toHaveLength(200);
  expect(long).toContain("2800 more steps in the table below.");
  expect(long.match(/<th scope="row">/g)).toHaveLength(3000);
});
