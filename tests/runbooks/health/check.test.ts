import { expect, test } from "bun:test";
import { compile } from "../../../engine/check/compile.ts";
import { evaluate } from "../../../engine/expr/cel.ts";
import type { ActionStep, StepRegistry } from "../../../engine/types.ts";
import catalogue from "../../../steps/backup/catalogue.ts";
import gaps from "../../../steps/backup/gaps.ts";
import foreign from "../../../steps/backup/foreign.ts";
import armed from "../../../steps/chaos/armed.ts";
import assert from "../../../steps/core/assert.ts";
import check from "../../../steps/health/check.ts";
import { GROUPS } from "../../../steps/health/check/words.ts";
import query from "../../../steps/sql/query.ts";
import { libraryWith } from "./support.ts";

const types = new Map(
  [armed, check, assert, catalogue, foreign, gaps, query].map((type) => [type.type, type]),
);
const registry: StepRegistry = {
  names: () => [...types.keys()],
  has: (type) => types.has(type),
  get: async (type) => types.get(type)!,
};

async function runbook() {
  const library = libraryWith();
  return compile(await library.load("health/check"), { registry, library });
}

test("the runbook is free of faults and reads only", async () => {
  const { runbook: compiled, diagnostics } = await runbook();
  expect(diagnostics.map((fault) => `${fault.where.line} ${fault.message}`)).toEqual([]);
  expect(compiled).toMatchObject({ risk: "read", needs: ["postgres"] });
  expect(compiled?.outputSchema.properties?.["summary"]?.properties?.["worst"]?.enum).toEqual([
    "ok",
    "info",
    "warning",
    "critical",
    "unknown",
  ]);
});

test("fail_on fails on what is as bad or worse, and when nothing could be examined", async () => {
  const verdict = (await runbook()).runbook?.steps.find(({ id }) => id === "verdict") as ActionStep;
  const { that } = (verdict.input as { that: string }[]).at(-1)!;
  const holds = (fail_on: string, worst: string) =>
    evaluate(that, { params: { fail_on }, steps: { check: { output: { summary: { worst } } } } });
  const levels = ["ok", "info", "warning", "critical", "unknown"];
  expect(levels.map((worst) => holds("none", worst))).toEqual([true, true, true, true, true]);
  expect(levels.map((worst) => holds("info", worst))).toEqual([true, false, false, false, false]);
  expect(levels.map((worst) => holds("warning", worst))).toEqual([true, true, false, false, false]);
  expect(levels.map((worst) => holds("critical", worst))).toEqual([true, true, true, false, false]);
});

test("a repository that has not answered is waited for once", async () => {
  const { when } = (await runbook()).runbook!.steps.find(({ id }) => id === "backups")!;
  const asks = (capabilities: string[], code: string | null) =>
    evaluate(when!, {
      target: { capabilities },
      steps: { archive: { error: code && { code } } },
    });
  const codes = [null, "query_failed", "repository_failed", "timeout"];
  expect(codes.map((code) => asks(["repository"], code))).toEqual([true, true, false, false]);
  expect(asks([], null)).toBe(false);
});

test("every group has checks, and each check says where its thresholds come from", async () => {
  const library = libraryWith();
  const docs = await Promise.all(library.entries("check").map(({ name }) => library.load(name)));
  expect(new Set(docs.map(({ data }) => String(data["group"])))).toEqual(new Set(GROUPS));
  expect(
    docs.filter(({ data }) => typeof data["source"] !== "string").map(({ name }) => name),
  ).toEqual([]);
});
