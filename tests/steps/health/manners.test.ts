import { expect, test } from "bun:test";
import { join } from "node:path";
import { type IndexFile, openLibrary } from "../../../engine/load/library.ts";
import type { StepContext } from "../../../engine/types.ts";
import index from "../../../runbooks/_index.json";
import type { Check } from "../../../steps/health/check/check.ts";
import { mannersOf } from "../../../steps/health/findings/remedy.ts";
import { libraryWith } from "../../runbooks/health/support.ts";

test("how the runbooks of remedies are written is known without reading one of them, and is what they say", async () => {
  const library = libraryWith();
  const checks: Check[] = [];
  for (const { name } of library.entries("check"))
    checks.push((await library.load(name)).data as unknown as Check);
  const dir = join(import.meta.dir, "../../../runbooks");
  const indexed = openLibrary([{ name: "builtin", dir, index: index as unknown as IndexFile }]);
  const reads: string[] = [];
  const load = (name: string) => {
    reads.push(name);
    return indexed.load(name);
  };
  const of = (one: object) => mannersOf({ library: one } as StepContext, checks);
  const known = await of({ ...indexed, load });
  expect(reads).toEqual([]);
  expect([known.yes.size > 3, known.primary.size > 10]).toEqual([true, true]);
  expect(known).toEqual(await of(library));
});
