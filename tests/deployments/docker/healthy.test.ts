import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FOLDER = join(import.meta.dir, "../../../deployments/docker");
const dir = mkdtempSync(join(tmpdir(), "pgdba-healthy-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The words of each image's health check. */
const CHECKS = readdirSync(FOLDER)
  .filter((name) => name.startsWith("Dockerfile."))
  .map((name): [string, string[]] => {
    const text = readFileSync(join(FOLDER, name), "utf8");
    return [name, JSON.parse(/^HEALTHCHECK .* CMD (\[.*\])$/m.exec(text)![1]!) as string[]];
  });

test.concurrent.each(CHECKS)(
  "%s: a health check that comes to no end is ended, for the Engine begins the next beside it",
  async (name, words) => {
    const hangs = join(dir, `${name}.py`);
    writeFileSync(hangs, "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n");
    const argv = words.map((word) => (word.endsWith("/healthy.py") ? hangs : word));
    expect(argv).toContain(hangs);
    const began = performance.now();
    const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    // Nobody holds it open any more.
    expect(await child.stdout.text()).toMatch(/^\d+\n$/);
    expect(await child.exited).toBe(137);
    expect(performance.now() - began).toBeLessThan(30_000);
  },
);
