import { expect, test } from "bun:test";
import type { ErrorRecord, Event } from "../../../engine/types.ts";
import { ndjsonView } from "../../../engine/view/ndjson.ts";
import { plainView } from "../../../engine/view/plain.ts";
import { clip, duration, wrap } from "../../../engine/view/text.ts";

const error: ErrorRecord = {
  code: "timeout",
  message: "too\nlate\u001b",
  step: null,
  where: null,
  hint: "wait",
  retryable: true,
};
const at = { at: "2026-02-22T10:00:00Z", run: "r1" };
const events: Event[] = [
  { ...at, kind: "run.started", runbook: "a/b", plan: true, target: "lab", steps: 1 },
  { ...at, kind: "run.resumed", runbook: "a/b" },
  { ...at, kind: "lock.waiting", holder: "ann" },
  { ...at, kind: "step.started", path: "s", id: "s", type: "exec", depth: 0 },
  { ...at, kind: "step.retrying", path: "s", attempt: 2, delay_ms: 200, error },
  { ...at, kind: "step.log", path: "s", level: "warn", message: "hm" },
  {
    ...at,
    kind: "step.finished",
    path: "s",
    id: "s",
    type: "exec",
    status: "failed",
    changed: false,
    duration_ms: 1500,
    error,
  },
  { ...at, kind: "undo.started", path: "s" },
  { ...at, kind: "undo.finished", path: "s", error: null },
  { ...at, kind: "run.interrupting", signal: "SIGINT", forced: false },
  { ...at, kind: "run.finished", status: "interrupted", exit: 130, duration_ms: 2000 },
];

test("plain lines, one per event", () => {
  let text = "";
  const view = plainView((part) => (text += part));
  for (const event of events) view(event);
  expect(text).toBe(`a/b on lab, plan only, 1 step, run r1
a/b resumed, run r1
waiting for the lock held by ann
start s (exec)
retry s attempt 2 in 200ms: too late\\x1b (wait)
warn s: hm
failed s (exec) 1.5s: too late\\x1b (wait)
undo s
undone s
SIGINT: the step ends, and the run is undone; a second signal stops at once
interrupted in 2.0s, exit 130
`);
  text = "";
  view({ ...at, kind: "run.started", runbook: "a/b", plan: false, target: "none", steps: 2 });
  expect(text).toBe("a/b, 2 steps, run r1\n");
});

test("verbose lines have the time, the item, what a step type does, and what only matters to those who ask", () => {
  let text = "";
  const summaryOf = (type: string) => (type === "exec" ? "Run a program" : undefined);
  const view = plainView((part) => (text += part), { color: true, verbose: { summaryOf } });
  const at = { at: "2026-02-22T10:00:00.123Z", run: "r1" };
  view({ ...at, kind: "run.log", message: "Holds the lock on lab" });
  view({ ...at, kind: "step.started", path: "s/0", id: "s", type: "exec", depth: 1, item: "pg1" });
  view({ ...at, kind: "undo.started", path: "s" });
  const stamp = "\x1b[2m10:00:00.123\x1b[22m";
  expect(text).toBe(
    `${stamp} \x1b[2mHolds the lock on lab\x1b[22m\n${stamp} \x1b[2mstart\x1b[22m s/0 for pg1 (exec: Run a program)\n${stamp} \x1b[2mundo\x1b[22m s\n`,
  );
});

test("ndjson numbers the events and changes nothing in them", () => {
  const lines: string[] = [];
  const view = ndjsonView((line) => lines.push(line));
  for (const event of events) view(event);
  expect(lines.every((line) => line.indexOf("\n") === line.length - 1)).toBe(true);
  expect(lines.map((line) => JSON.parse(line))).toEqual(
    events.map((event, n) => ({ v: 1, seq: n + 1, ...event })),
  );
});

test.each([
  [0.2, "<1ms"],
  [12.4, "12ms"],
  [999.6, "1.0s"],
  [59_949, "59.9s"],
  [59_960, "1m00s"],
  [125_000, "2m05s"],
  [3_780_000, "1h03m"],
])("duration %p is %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test("clip and wrap count cells, and cut no character in two", () => {
  expect(clip("日本語", 6)).toBe("日本語");
  expect(clip("日本語", 5)).toBe("日本…");
  expect(clip("👨‍👩‍👧👨‍👩‍👧", 3)).toBe("👨‍👩‍👧…");
  expect(wrap("日本語日本語", 4)).toEqual(["日本", "語日", "本語"]);
  expect(wrap("  indented\nshort", 20)).toEqual(["  indented", "short"]);
  expect(wrap("  one two three", 9)).toEqual(["  one two", "  three"]);
});
