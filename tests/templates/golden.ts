import { expect } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { filesOf, type Sizes } from "../../providers/nodes/configuration/files.ts";
import type { Spec } from "../../providers/nodes/contract.ts";

export function fileOf(spec: Spec, node: string, file: string, sizes?: Sizes): string {
  const found = spec.nodes.find(({ name }) => name === node);
  return filesOf(spec, found!, sizes)[file]!;
}

/** The text is that of the golden file; one that is not there is written, to be read and committed. */
export function expectGolden(text: string, name: string): void {
  const path = join(import.meta.dir, "golden", name);
  if (!existsSync(path) && process.env["CI"] === undefined) writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, "utf8"));
}
