import { expect, test } from "bun:test";
import { restoreFindings } from "../../../../steps/cluster/judge/restore-findings.ts";

const judged = (running: string, beside: string[]) =>
  restoreFindings({
    gathered: {
      members: [{ name: "pg1", beside: { value: beside } }, { name: "pg2" }],
      nodes: { value: [{ node: "pg1", state: { running } }] },
    },
  } as never).map(({ check, severity, object, message, remedy }) => [
    check,
    severity,
    object,
    `${message} ${remedy.text}`,
  ]);

test("data that a restore has moved aside are under way while the server is down, and wait to be confirmed once it runs", () => {
  expect(judged("stopped", ["/data.before-2026-x1"])).toEqual([
    ["restore-under-way", "warning", "pg1", expect.stringContaining("pgdba resume 2026-x1")],
  ]);
  expect(judged("running", ["/data.before-2026-x1"])).toEqual([
    [
      "restore-unconfirmed",
      "info",
      "pg1",
      expect.stringContaining("pgdba backup restore-confirm pg1 --run 2026-x1 --yes"),
    ],
  ]);
  expect(judged("running", [])).toEqual([]);
});
