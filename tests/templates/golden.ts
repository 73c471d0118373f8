import { expect } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { filesOf, type Sizes } from "../../providers/nodes/configuration/files.ts";
import type { Spec } from "../../providers/nodes/contract.ts";

export function fileOf(spec: Spec, node: string, file: string, sizes?: Sizes): string {
  const found = spec.nodes.find(({ name }) => name === node);
  return filesOf(spec, found!, sizes)[file]!;
}

export function expectGolden(text: string, name: string): void {
  expectFile(text, join(import.meta.dir, "golden", name));
}

/** The text is that of the file; one that is not there is written, to be read and committed. */
export function expectFile(text: string, path: string): void {
  if (!existsSync(path) && process.env["CI"] === undefined) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  expect(text).toBe(readFileSync(path, "utf8"));
}
