import { expect, test } from "bun:test";
import { callerText, runRecord } from "../../../engine/cli/run-record.ts";
import { type Harness, withHarness } from "../run/harness.ts";
import type { RunRow } from "../../../engine/journal/journal.ts";

const TEXT = `steps:
  - id: one
    fake.act: {}
  - id: two
    fake.look: {}
output: {said: steps.two.output}
`;

function last(h: Harness) {
  const row = h.journal.runs(1)[0] as RunRow;
  return runRecord(row, h.journal.steps(row.id));
}

test("a run as it is shown: its steps, what it was judged by, and who called", () =>
  withHarness(async (h) => {
    const ran = await h.run(TEXT);
    const record = last(h);
    expect(record).toMatchObject({
      runbook: "demo/one",
      status: "ok",
      target: "drill",
      risk: "change",
      hazards: [],
      locks: ["all"],
      without_backup: false,
      exit: 0,
      caller: "test",
      error: null,
    });
    expect(record.steps.map(({ path, status }) => `${path} ${status}`)).toContain("one ok");
    expect(record.output).toEqual(ran.data);
  }));

test("a step that began and did not end has an unknown status", () =>
  withHarness(async (h) => {
    await h.killedIn(TEXT, "one");
    const [one] = last(h).steps;
    expect(one).toMatchObject({ path: "one", status: "unknown", output: null, attempts: 1 });
  }));

test("what a variable says of the caller is told as its claim", () => {
  expect(callerText({ name: "ci", by: "PGDBA_CALLER" })).toBe("ci (PGDBA_CALLER)");
  expect(callerText({ name: "test", by: null })).toBe("test");
  expect(callerText({ name: null, by: null })).toBeNull();
  expect(callerText(undefined)).toBeNull();
});
