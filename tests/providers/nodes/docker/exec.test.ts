import { expect, test } from "bun:test";
import { idle } from "../../../../providers/nodes/docker/exec.ts";

/** What is still on its way when the Engine says that the program has ended is read: it may be all that a quiet program wrote. */
test("a program that was silent for long is heard to its end", async () => {
  const quietSince = performance.now() - 60_000;
  let endedAt: number | undefined;
  const inspect = async () => {
    endedAt ??= performance.now();
    return { Running: false };
  };
  await idle(() => quietSince, inspect, new Promise(() => {}));
  expect(performance.now() - endedAt!).toBeGreaterThanOrEqual(500);
});

test("where the line ends, nobody waits for silence", async () => {
  const inspect = () => Promise.reject(new Error("asked"));
  const over = idle(performance.now, inspect, Promise.resolve());
  expect(await over).toBeUndefined();
});
