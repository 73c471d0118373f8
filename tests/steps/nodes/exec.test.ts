import { expect, test } from "bun:test";
import type { JobState } from "../../../providers/nodes/contract.ts";
import exec from "../../../steps/nodes/exec.ts";

/** The answer of the probe about a job whose state the node tells. */
async function answered(job: Partial<JobState> | null, input: object = {}): Promise<unknown> {
  const jobs = { find: async () => job && { name: "run/copy", ...job }, follow: async () => job };
  const ctx = {
    use: async () => ({ jobs }),
    step: { job: "run/copy", path: "copy" },
    signal: new AbortController().signal,
  };
  return exec.probe!(ctx as never, { node: "pg1", argv: ["cp"], ...input } as never);
}

test("a job that has ended is done or has failed; only one that can't be judged is unknown", async () => {
  const ended = (exit_code: number | null, signal: string | null = null) =>
    ({ state: "ended", exit_code, signal }) as Partial<JobState>;
  expect(await answered(null)).toEqual({ state: "not_done" });
  expect(await answered({ state: "running" })).toEqual({ state: "running" });
  expect(await answered(ended(0))).toMatchObject({ state: "done", output: { exit_code: 0 } });
  expect(await answered(ended(1))).toMatchObject({
    state: "failed",
    error: { code: "command_failed" },
  });
  expect(await answered(ended(1), { ok_exit_codes: [0, 1] })).toMatchObject({ state: "done" });
  expect(await answered(ended(null, "SIGTERM"))).toMatchObject({ state: "failed" });
  expect(await answered({ ...ended(null), unknown: "the node was restarted" })).toEqual({
    state: "unknown",
    reason: "the node was restarted",
  });
});
