import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import before from "../../../steps/backup/before.ts";
import dropBefore from "../../../steps/backup/drop-before.ts";
import { fakeContext } from "../../support/context.ts";

const base = mkdtempSync(join(tmpdir(), "pgdba-before-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A node whose programs run here, with its data there. */
const on = (data: string | null) =>
  fakeContext({
    target: {
      use: async () => ({
        facts: async () => ({ postgres: data === null ? null : { data } }),
        exec: async (_node: string, argv: string[]) => {
          const { exitCode, stdout, stderr } = Bun.spawnSync(argv);
          return { exit_code: exitCode, stdout: `${stdout}`, stderr: `${stderr}` };
        },
      }),
    },
  });
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "not refused",
    (error: { code: string; hint?: string }) => [error.code, error.hint],
  );

test("what is kept of one restore is found and measured; of several, one must be named", async () => {
  const data = join(base, "data");
  mkdirSync(data);
  const none = { node: "a", folder: null, bytes: null };
  expect(await before.run(on(data), { node: "a" })).toEqual(none);
  const kept = `${data}.before-r1`;
  mkdirSync(kept);
  writeFileSync(join(kept, "file"), "x".repeat(100_000));
  const found = await before.run(on(data), { node: "a" });
  expect(found.folder).toBe(kept);
  expect(found.bytes).toBeGreaterThanOrEqual(100_000);
  mkdirSync(`${data}.before-r2`);
  const [code, hint] = await refusal(before.run(on(data), { node: "a" }));
  expect(code).toBe("invalid_param");
  expect(hint).toContain("r1");
  expect(hint).toContain("r2");
  expect(await before.run(on(data), { node: "a", run: "r2" })).toMatchObject({
    folder: `${data}.before-r2`,
  });
  expect(await before.run(on(data), { node: "a", run: "r3" })).toEqual(none);
});

test("what can't be looked at does not count as nothing", async () => {
  const gone = join(base, "gone", "data");
  for (const step of [before, dropBefore]) {
    expect((await refusal(step.run(on(gone), { node: "a" })))[0]).toBe("io_failed");
    expect((await refusal(step.run(on(null), { node: "a" })))[0]).toBe("step_refused");
  }
});
