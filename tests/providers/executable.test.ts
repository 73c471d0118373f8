import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identityOf, withExecutable } from "../../providers/executable.ts";

const home = mkdtempSync(join(tmpdir(), "pgdba-cache-"));
const folder = join(home, "pgdba");
const env = { ...process.env, XDG_CACHE_HOME: home };
const said: string[] = [];
const by = {
  signal: new AbortController().signal,
  progress: ({ text }: { text?: string | null }) => void said.push(text ?? ""),
};

afterAll(() => rmSync(home, { recursive: true }));

test("it is compiled once, is taken from then on, and few others are kept", async () => {
  mkdirSync(folder, { mode: 0o700 });
  for (const [at, name] of ["pgdba-x64-a", "pgdba-x64-b", "pgdba-x64-c", "note"].entries()) {
    writeFileSync(join(folder, name), "");
    utimesSync(join(folder, name), at + 1, at + 1);
  }
  const own = `pgdba-${process.arch}-${await identityOf(process.arch)}`;
  expect(await withExecutable(process.arch, { env, by }, async (file) => file)).toBe(
    join(folder, own),
  );
  expect(readdirSync(folder).toSorted()).toEqual(
    ["note", "pgdba-x64-b", "pgdba-x64-c", own].toSorted(),
  );
  await withExecutable(process.arch, { env, by }, async (file) => {
    expect(Bun.spawnSync([file, "--version"]).exitCode).toBe(0);
  });
  expect(said).toEqual([`compiling pgdba for linux-${process.arch}`]);
});

test("where others may write nothing is kept and nothing is taken", async () => {
  chmodSync(folder, 0o777);
  const ended = new AbortController();
  ended.abort(new Error("enough"));
  // It would have been taken: instead it begins to compile.
  const made = withExecutable(
    process.arch,
    { env, by: { ...by, signal: ended.signal } },
    async () => 1,
  );
  await expect(made).rejects.toThrow("enough");
});
