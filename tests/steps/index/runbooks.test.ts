import { expect, test } from "bun:test";
import { join } from "node:path";
import { compile } from "../../../engine/check/compile.ts";
import { openLibrary } from "../../../engine/load/library.ts";
import type { StepRegistry, StepType } from "../../../engine/types.ts";
import assert from "../../../steps/core/assert.ts";
import confirm from "../../../steps/core/confirm.ts";
import set from "../../../steps/core/set.ts";
import create from "../../../steps/index/create.ts";
import drop from "../../../steps/index/drop.ts";
import planDiff from "../../../steps/index/plan-diff.ts";
import suggest from "../../../steps/index/suggest.ts";
import without from "../../../steps/index/without.ts";

const types = new Map<string, StepType>(
  [assert, confirm, set, without, create, drop, planDiff, suggest].map((type) => [type.type, type]),
);
const registry: StepRegistry = {
  names: () => [...types.keys()],
  has: (type) => types.has(type),
  get: async (type) => types.get(type)!,
};

for (const name of ["query/index-suggest", "query/plan-diff", "index/create", "index/drop"]) {
  test(`${name} is a valid runbook, and gives all that its step gives`, async () => {
    const library = openLibrary([
      { name: "builtin", dir: join(import.meta.dir, "../../../runbooks") },
    ]);
    const { runbook, diagnostics } = await compile(await library.load(name), { registry, library });
    expect(diagnostics).toEqual([]);
    const step = runbook?.steps.at(-1);
    const type = step?.kind === "action" ? types.get(step.type) : undefined;
    expect(Object.keys(runbook?.output ?? {})).toEqual(
      Object.keys(type?.output.properties ?? { none: 1 }),
    );
  });
}
