import { expect, test } from "bun:test";
import { parse, stringify } from "yaml";
import { MAX_ANSWER, MAX_BRIEF } from "../../../../engine/cli/answer/bound.ts";
import { shape, withinText } from "../../../../engine/cli/answer/shape.ts";
import type { Envelope } from "../../../../engine/types.ts";

const textOf = async (envelope: Envelope) => JSON.stringify(envelope);

test("a brief report has its findings, each with the command that mends it, and not what is well", async () => {
  const finding = (at: number) => ({
    check: "slot-inactive",
    severity: "critical",
    object: `slot ${at}`,
    message: "nobody reads it",
    evidence: { text: "x".repeat(900) },
    remedy: {
      text: "y".repeat(900),
      command: `pgdba slot drop s${at}`,
      runbook: "slot/drop",
      params: { slot: `s${at}` },
      by_hand: "pg_ctl restart",
      also: [{ text: "It may come back", command: `pgdba slot list s${at}` }],
    },
    consequences: [{ check: "wal" }],
  });
  const data = {
    summary: { worst: "critical" },
    findings: [1, 2, 3, 4, 5].map(finding),
    passed: Array.from({ length: 90 }, (_, at) => `a-check-with-a-name-${at}`),
  };
  const envelope = {
    success: true,
    timestamp: "2026-01-01T00:00:00Z",
    command: "health check",
    data,
    error: null,
  } as Envelope;
  const { envelope: brief } = await shape(
    envelope,
    { full: false, brief: true, select: [] },
    { textOf },
  );
  const { findings, ...rest } = brief.data as { findings: object[] };
  expect(findings).toHaveLength(5);
  expect(findings[0]).toEqual({
    check: "slot-inactive",
    severity: "critical",
    object: "slot 1",
    message: "nobody reads it",
    command: "pgdba slot drop s1",
    runbook: "slot/drop",
    params: { slot: "s1" },
    by_hand: "pg_ctl restart",
    also: ["pgdba slot list s1"],
    consequences: 1,
  });
  // Nobody knows where the primary is: there is no command, and it says why.
  const remedy = { runbook: "role/set", params: { role: "app" }, command: null };
  const elsewhere = { ...data, findings: [{ ...finding(1), remedy }] };
  const standby = await shape(
    { ...envelope, data: elsewhere } as Envelope,
    { full: false, brief: true, select: [] },
    { textOf },
  );
  expect((standby.envelope.data as { findings: object[] }).findings[0]).toMatchObject({
    runbook: "role/set",
    params: { role: "app" },
    on: "the primary",
  });
  expect(rest as object).toEqual({ summary: { worst: "critical" } });
  // A path that is seen in one answer leads to the same in the other.
  for (const path of ["findings.command", "findings.remedy.command", "findings.0.evidence"]) {
    const select = [path];
    const long = await shape(envelope, { full: true, brief: false, select }, { textOf });
    const short = await shape(envelope, { full: false, brief: true, select }, { textOf });
    expect(short.envelope.data).toEqual(long.envelope.data);
    expect(long.text).not.toContain("not_there");
  }
  // What is brief as a whole is as brief in a part: all findings, and not the first few at length.
  const wanted = { full: false, brief: true, select: ["findings"] };
  const part = await shape(envelope, wanted, { textOf });
  expect(part.envelope.data).toEqual({ findings } as never);
});

test("a brief plan tells what each step would do", async () => {
  const step = (path: string, type: string, status: string, more = {}) => ({
    path,
    id: path,
    type,
    status,
    changed: false,
    error: null,
    ...more,
  });
  const preview = { sql: ["REINDEX INDEX CONCURRENTLY i"] };
  const steps = [
    step("look", "sql.query", "ok"),
    step("each/0/rebuild", "maintenance.reindex", "previewed", { preview }),
    step("copied", "shell", "not_previewable"),
    step("after", "assert", "undetermined"),
  ];
  const run = (plan: boolean) => ({ id: "r", status: "planned", plan, warnings: [], steps });
  const answer = { success: true, timestamp: "2026-01-01T00:00:00Z", command: "x", error: null };
  const wanted = { full: false, brief: true, select: [] };
  const brief = async (plan: boolean) =>
    (
      await shape({ ...answer, data: { run: run(plan) } } as Envelope, wanted, {
        shown: [],
        textOf,
      })
    ).envelope.data;
  expect(await brief(true)).toEqual({
    run: {
      id: "r",
      status: "planned",
      warnings: [],
      would: [
        { path: "each/0/rebuild", type: "maintenance.reindex", preview },
        { path: "copied", type: "shell", status: "not_previewable" },
        { path: "after", type: "assert", status: "undetermined" },
      ],
    },
  });
  expect(await brief(false)).toEqual({ run: { id: "r", status: "planned", warnings: [] } });
});

test("what an answer lost stands beside what the runbook itself says of its limit, in success and in failure", async () => {
  const rows = Array.from({ length: 900 }, (_, at) => ({ at, text: "x".repeat(60) }));
  const answer = { success: true, timestamp: "2026-01-01T00:00:00Z", command: "session list" };
  const data = { rows, left_out: 3 };
  const plain = { full: false, brief: false, select: [] };
  const good = await shape({ ...answer, data, error: null } as Envelope, plain, { textOf });
  expect(good.envelope.data).toMatchObject({ left_out: 3, cut: { rows: expect.any(Number) } });
  expect(good.warning).toContain("--full");
  const error = { code: "step_failed", message: "no", data: { rows, left_out: 3 } };
  const bad = await shape({ ...answer, data: null, error } as unknown as Envelope, plain, {
    textOf,
  });
  expect(bad.envelope.error as object).toMatchObject({
    data: { left_out: 3 },
    cut: { "error.data.rows": expect.any(Number) },
  });
});

test("YAML, which takes more room than JSON, is within the bound as well, and so is what a command writes itself", async () => {
  const rows = Array.from({ length: 900 }, (_, at) => ({ at, deep: { in: ["a", "b"] } }));
  const envelope = { success: true, command: "x", data: { rows }, error: null } as never;
  const plain = { full: false, brief: false, select: [] };
  const yaml = { textOf: async (part: Envelope) => stringify(part) };
  const { text } = await shape(envelope, plain, yaml);
  expect(Buffer.byteLength(text)).toBeWithin(MAX_ANSWER - 5_000, MAX_ANSWER + 1);
  expect(parse(text).data.cut.rows).toBe(900 - parse(text).data.rows.length);
  const { text: short } = await shape(envelope, { ...plain, brief: true }, yaml);
  expect(Buffer.byteLength(short)).toBeLessThanOrEqual(MAX_BRIEF);
  const whole = await shape(envelope, { ...plain, full: true }, yaml);
  expect(parse(whole.text).data.rows).toEqual(rows);

  const lines = "a line of ü\n".repeat(5_000);
  expect(Buffer.byteLength(withinText(lines))).toBeWithin(MAX_ANSWER - 300, MAX_ANSWER + 1);
  expect(withinText(lines)).toMatch(/\n… \(\d+ more lines; --full gives all\)\n$/);
  expect(withinText("short\n")).toBe("short\n");
});

test("a brief answer counts what it has not, where there is something in it", async () => {
  const changed = [
    { command: "DELETE", rows: 1, returned: [{ id: 7 }], comment: null },
    { command: "UPDATE", rows: 1, returned: [], comment: null },
  ];
  const data = { changed, checks: ["a", "b"], nothing: [], run: { id: "r", status: "ok" } };
  const envelope = { success: true, command: "x", data, error: null } as never;
  const { envelope: brief } = await shape(
    envelope,
    { full: false, brief: true, select: [] },
    { shown: [{ name: "changed", columns: ["command", "rows"] }], textOf },
  );
  expect(brief.data).toMatchObject({
    changed: [
      { command: "DELETE", rows: 1 },
      { command: "UPDATE", rows: 1 },
    ],
    cut: { "changed.returned": 1, checks: 2 },
  });
  expect(Object.keys(brief.data as object)).toEqual(["changed", "run", "cut", "cut_hint"]);
});

test("one entry with very many texts stays, each of them short", async () => {
  const row = Object.fromEntries(
    Array.from({ length: 20 }, (_, at) => [`c${at}`, "x".repeat(600)] as const),
  );
  const envelope = { success: true, command: "x", data: { rows: [row] }, error: null } as never;
  const plain = { full: false, brief: false, select: [] };
  for (const brief of [true, false]) {
    const { envelope: short, text } = await shape(envelope, { ...plain, brief }, { textOf });
    const { rows } = short.data as { rows: object[] };
    expect(Object.keys(rows[0] ?? {})).toHaveLength(20);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(brief ? MAX_BRIEF : MAX_ANSWER);
  }
});
