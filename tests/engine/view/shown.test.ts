import { expect, test } from "bun:test";
import { formatEnvelope } from "../../../engine/view/format.ts";
import type { Envelope, Json, Shown } from "../../../engine/types.ts";

const show = (data: Json, shown: Shown[]) =>
  formatEnvelope(
    { success: true, timestamp: "", command: "x", data, error: null } as unknown as Envelope,
    "table",
    { color: false, columns: 60, pretty: false, shown },
  );

test("what a runbook declares is shown, in its order and in the form that fits it", async () => {
  const drawing = `node ${"x".repeat(80)}\n└─ below`;
  const data = {
    plan: { deep: [{ a: 1 }] },
    text: drawing,
    cost: 5,
    findings: [
      {
        code: "spill",
        severity: "warning",
        node: { title: "Sort" },
        message: "It spilled.",
        evidence: { kb: 7 },
        advice: "Raise it.",
      },
    ],
    rows: [{ id: 1, query: "select\n  1", noise: { b: 2 } }],
    settings: { work_mem: { value: "4MB", source: "x" } },
    nothing: null,
    none: [],
  };
  const shown: Shown[] = [
    { name: "text" },
    { name: "findings" },
    { name: "rows", columns: ["id", "query"] },
    { name: "settings", columns: ["name", "value"] },
    { name: "cost" },
    { name: "nothing" },
    { name: "none" },
  ];
  expect((await show(data, shown)).split("\n")).toEqual([
    ...drawing.split("\n"),
    "",
    "▲ 1 warning",
    "  spill · Sort",
    "    It spilled.",
    "    → Raise it.",
    "",
    "rows",
    "  id  query",
    "   1  select 1",
    "",
    "settings",
    "  name      value",
    "  work_mem  4MB",
    "",
    "cost  5",
    "none  (none)",
    "",
    "with --format json also: plan",
    "",
  ]);
  expect(await show({ findings: [] }, [{ name: "findings" }])).toBe("✔ no findings\n");
});

test("bytes are shown as sizes, and what is nested in a row as words, not as JSON", async () => {
  const data = {
    disks: [{ node: "pg1", free_bytes: 3 * 1024 ** 3, total_bytes: 512 }],
    nodes: [
      {
        node: "pg1",
        endpoints: {
          patroni: { reach: { host: "h", port: 8008 }, secure: false },
          sql: { host: "h", port: 5432 },
        },
        roles: ["postgres"],
        none: [],
      },
    ],
    retained_bytes: 1024 ** 2,
  };
  const lines = await show(data, [
    { name: "disks" },
    { name: "nodes" },
    { name: "retained_bytes" },
  ]);
  expect(lines).toContain("3.0 GB");
  expect(lines).toContain("512 bytes");
  expect(lines).toMatch(/retained_bytes +1.0 MB/);
  expect(lines).toContain("patroni reach h:8008, secure false,");
  expect(lines).toContain("sql h:5432");
  expect(lines).not.toMatch(/[{}"[\]]/);
});
