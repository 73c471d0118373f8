import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  environmentOf,
  processOf,
  TELLS_PROCESSES,
} from "../../../../providers/nodes/embedded/processes.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-processes-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function looked(argv: string[], env: Record<string, string>, looks: number) {
  const child = Bun.spawn(argv, { env, stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  try {
    const found = [];
    for (let n = 0; n < looks; n++) {
      const process = await processOf(child.pid);
      const began = performance.now();
      const environment = await environmentOf(process!);
      found.push({ environment, ms: performance.now() - began });
    }
    return found;
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

test.skipIf(!TELLS_PROCESSES)(
  "a process that becomes one program after the other is seen with its environment each time",
  async () => {
    const program = join(dir, "again");
    writeFileSync(program, '#!/bin/sh\nexec "$0"\n', { mode: 0o755 });
    const found = await looked([program], { MARK: "seen" }, 500);
    const without = found.filter(({ environment }) => !environment.includes("MARK=seen"));
    expect(without).toEqual([]);
  },
);

test.skipIf(!TELLS_PROCESSES)(
  "one that began without an environment is not waited for",
  async () => {
    const found = await looked(["/bin/sleep", "60"], {}, 30);
    expect(found.map(({ environment }) => environment)).toEqual(found.map(() => ""));
    // The quickest: a busy machine adds to the others.
    expect(Math.min(...found.map(({ ms }) => ms))).toBeLessThan(30);
  },
);
