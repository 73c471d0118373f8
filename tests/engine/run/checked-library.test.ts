import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLibrary } from "../../../engine/load/library.ts";
import { checkedLibrary } from "../../../engine/run/checked-library.ts";
import type { DocumentKind } from "../../../engine/types.ts";

const KIND: DocumentKind = {
  kind: "note",
  schema: {
    type: "object",
    properties: { kind: {}, text: { type: "string", "x-lang": "cel" } },
    additionalProperties: false,
  },
  variables: () => ({ row: { type: "object" } }),
};

const dir = mkdtempSync(join(tmpdir(), "pgdba-checked-"));
afterAll(() => rmSync(dir, { recursive: true }));
mkdirSync(join(dir, "team"));
for (const [name, text] of Object.entries({
  good: "kind: note\ntext: row.x > 1\n",
  key: "kind: note\ntxet: row.x > 1\n",
  expression: "kind: note\ntext: rwo.x > 1\n",
  other: "kind: runbook\nsumary: not for this step type to judge\n",
}))
  writeFileSync(join(dir, `team/${name}.yaml`), text);

const library = (name: "project" | "builtin") => checkedLibrary(openLibrary([{ name, dir }]), KIND);

test("a document that lint refuses is refused by the step type that reads it, with its place", async () => {
  expect((await library("project").load("team/good")).data["text"]).toBe("row.x > 1");
  expect((await library("project").load("team/other")).kind).toBe("runbook");
  for (const [name, rule] of [
    ["team/key", "unknown-key"],
    ["team/expression", "unknown-variable"],
  ] as const) {
    const error = await library("project")
      .load(name)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "invalid_runbook",
      where: { line: 2 },
      data: { diagnostics: [{ rule }] },
    });
  }
});

test("built-in documents were checked before", async () => {
  expect((await library("builtin").load("team/key")).kind).toBe("note");
});
