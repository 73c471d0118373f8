import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { compile } from "../../../engine/check/compile.ts";
import { makeRegistry } from "../../../engine/cli/library.ts";
import { openLibrary } from "../../../engine/load/library.ts";
import analyze from "../../../steps/query/analyze.ts";
import live from "../../../steps/query/live.ts";
import top from "../../../steps/query/top.ts";

const registry = makeRegistry(
  Object.fromEntries(
    [analyze, live, top].map((step) => [step.type, async () => ({ default: step })]),
  ),
);
const library = openLibrary([{ name: "builtin", dir: join(import.meta.dir, "../../../runbooks") }]);

describe.each(["query/analyze", "query/slow-log"])("%s", (name) => {
  test("passes every static check, reads only, and says what it gives", async () => {
    const { runbook, diagnostics } = await compile(await library.load(name), { registry, library });
    expect(diagnostics).toEqual([]);
    expect(runbook).toMatchObject({ name, risk: "read", needs: ["postgres"] });
    const given = Object.entries(runbook?.outputSchema.properties ?? {});
    expect(
      given.filter(([, schema]) => schema.type === undefined && schema.anyOf === undefined),
    ).toEqual([]);
  });
});
