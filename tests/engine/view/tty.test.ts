import { expect, test } from "bun:test";
import { onTerminal } from "./pty.ts";

// oxlint-disable-next-line no-control-regex -- escape sequences are what it removes
const plain = (text: string) => text.replace(/\x1b\[[0-9;]*[A-Za-z]/g, "").replaceAll("\r", "");

test("draws the tree on the terminal alone and ends", async () => {
  const run = await onTerminal("pty-events.ts", ["full"]);
  expect(run.code).toBe(0);
  expect(run.stdout).toBe("{}\n");
  expect(plain(run.stderr)).toBe(`failover/trigger on lab r1
✔ before patroni.cluster 12ms
✔ each block 12ms, 39 more not shown
  ✖ 7 sql.query 12ms, failed
    not reached after 30s
    → Look at the log of \\x1b[2Jpg2.
✔ done block 12ms, 1 step
↓ maybe exec 12ms, skipped
  when is false
✖ switch patroni.switchover 12ms, failed
  not reached after 30s
  → Look at the log of \\x1b[2Jpg2.
undo
  ↩ before undone
↩ failed and undone in 1.2s, exit 5
`);
});

test("redraws in place, with a spinner and the retry, and leaves the cursor alone", async () => {
  const { stderr, code } = await onTerminal("pty-events.ts", ["slow"]);
  expect(code).toBe(0);
  expect(stderr).toMatch(/⠹|⠸|⠼|⠙/);
  expect(stderr).toContain("attempt 2 in 200ms");
  // oxlint-disable-next-line no-control-regex -- the sequence that erases what was drawn
  expect(stderr).toMatch(/\x1b\[\d+A\r\x1b\[J/);
  expect(stderr).not.toContain("\x1b[?25");
  expect(stderr.match(/failed and undone/g)).toHaveLength(1);
});

test("a step that takes a while shows how long it has been running, and the item it is for", async () => {
  const { stderr } = await onTerminal("pty-events.ts", ["elapsed"]);
  expect(plain(stderr)).toMatch(/e\/0 orders wait 1s\n/);
  expect(
    plain(stderr)
      .trimEnd()
      .split("\n")
      .findLast((line) => line.includes("orders")),
  ).toBe("✔ e/0 orders wait 12ms");
});

test("wraps to the width of the terminal", async () => {
  const { stderr } = await onTerminal("pty-events.ts", ["full"], { columns: 24 });
  const longest = Math.max(
    ...plain(stderr)
      .split("\n")
      .map((line) => Bun.stringWidth(line)),
  );
  expect(longest).toBeLessThanOrEqual(24);
  expect(longest).toBeGreaterThan(15);
});

test("close ends it in the middle of a run", async () => {
  const { stderr, code, stdout } = await onTerminal("pty-events.ts", ["close"]);
  expect([code, stdout]).toEqual([0, "{}\n"]);
  expect(plain(stderr)).toContain("✖ switch patroni.switchover");
});

test("keeps no process alive when nobody closes it", async () => {
  const { code } = await onTerminal("pty-events.ts", ["leave"]);
  expect(code).toBe(0);
});

test("does not swallow SIGINT", async () => {
  const { code } = await onTerminal("pty-events.ts", ["wait"], { signal: "SIGINT" });
  expect(code).toBe(-2);
});
