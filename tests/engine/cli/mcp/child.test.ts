import { expect, test } from "bun:test";
import { Children } from "../../../../engine/cli/mcp/child.ts";
import type { Front } from "../../../../engine/cli/front.ts";

/** Tells that it is there, and answers how many signals came within a while of the first. */
const COUNTS = `let data = 0;
process.on("SIGINT", () => {
  data += 1;
  if (data === 1) setTimeout(() => { console.log(JSON.stringify({ data })); process.exit(); }, 500);
});
setInterval(() => {}, 1000);
console.error("ready");`;

test("a caller that cancels its call and closes the line interrupts once: a second signal would cut short what takes back", async () => {
  const cwd = import.meta.dir;
  const front = { self: [process.execPath, "-e", COUNTS], packageDir: cwd, cwd, env: process.env };
  const stop = { hard: new AbortController().signal };
  const children = new Children({ ...front, stop } as unknown as Front, "agent");
  const gone = new AbortController();
  const ready = Promise.withResolvers<void>();
  const ended = children.run([], { signal: gone.signal, onLine: () => ready.resolve() });
  await ready.promise;
  gone.abort();
  // The first one has come: two at the same moment may count as one.
  await Bun.sleep(150);
  await children.close();
  expect((await ended).envelope.data).toBe(1);
});
