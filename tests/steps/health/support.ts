import { afterAll } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLibrary } from "../../../engine/load/library.ts";
import type { Library } from "../../../engine/types.ts";
import { writeCheck } from "../../runbooks/health/support.ts";

const dirs: string[] = [];
afterAll(() => Promise.all(dirs.splice(0).map((dir) => rm(dir, { recursive: true, force: true }))));

export async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "pgdba-checks-"));
  dirs.push(dir);
  return dir;
}

/** A library with nothing but these checks. */
export async function libraryOf(checks: Record<string, string>): Promise<Library> {
  const dir = await newDir();
  for (const [name, text] of Object.entries(checks)) await writeCheck(dir, name, text);
  return openLibrary([{ name: "project", dir }]);
}

/** A check document that finds something whenever it has a row. */
export function document(sql: string, more = ""): string {
  return `kind: check\ntitle: Test\ngroup: locks\nwhy: test\nwarning: "true"\nmessage: "row {{json row}}"\nsql: |\n  ${sql}\n${more}`;
}
