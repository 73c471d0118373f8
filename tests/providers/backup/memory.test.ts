import { expect, test } from "bun:test";
import { join } from "node:path";

/** It has a process of its own: what this one has held for other tests says nothing. */
test("a stream of any length goes through a repository in the same memory", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "memory-child.ts")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const grown = (await new Response(child.stdout).json()) as Record<string, number>;
  expect(Object.keys(grown)).toEqual([
    "stored",
    "compressed",
    "decompressed",
    "through a program",
    "to a node",
    "from a node",
    "on the node",
  ]);
  // Each passed 256 MB; of the node it is all that its process holds.
  for (const [what, megabytes] of Object.entries(grown))
    expect(`${what}: ${megabytes < 128}`).toBe(`${what}: true`);
}, 300_000);
