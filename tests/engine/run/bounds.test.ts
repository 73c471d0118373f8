import { expect, test } from "bun:test";
import { systemClock } from "../../../engine/clock.ts";
import { Stop } from "../../../engine/run/stop.ts";
import { fail, failing, withHarness } from "./harness.ts";

const LOOPS = `
steps:
  - id: outer
    foreach: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    block:
      - {id: inner, foreach: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], fake.look: {}}
`;

test.each([
  ["nested loops", LOOPS, 7],
  ["a loop inside a called runbook", "steps: [{id: c, foreach: [1, 2, 3, 4], run: sub/loop}]", 5],
  ["skipped steps", LOOPS.replace("fake.look", 'when: "false", fake.look'), 0],
  [
    "attempts",
    "steps: [{id: a, foreach: [1, 2, 3], retry: {attempts: 5, backoff: 1ms, on: 'true'}, ignore_error: true, fake.look: {}}]",
    7,
  ],
  [
    "tries of until that follow at once",
    'steps: [{id: a, until: "false", every: 1ms, timeout: 1h, fake.look: {}}]',
    7,
  ],
  [
    "what a block is that is done again and again",
    'steps: [{id: g, until: "false", every: 1h, timeout: 99d, block: [{id: a, fake.look: {}}]}]',
    7,
  ],
])("steps are counted over the whole run: %s", (_, text, looks) =>
  withHarness(async (h) => {
    h.write(
      "sub/loop",
      "summary: S\nrisk: read\nsteps: [{id: l, foreach: [1, 2, 3], fake.look: {}}]\n",
    );
    if (text.includes("retry")) h.on = { a: fail() };
    const ran = await h.run(text, { maxSteps: 7 });
    expect(ran).toMatchObject({
      exit: 1,
      error: { code: "limit_exceeded", message: "A run may begin at most 7 steps" },
    });
    expect(h.calls).toHaveLength(looks);
    expect(h.journal.steps("run-1").length).toBeLessThanOrEqual(14);
  }),
);

test("tries of until that wait are bounded by its timeout, and not counted", () =>
  withHarness(async (h) => {
    h.on = { a: failing(50) };
    const text =
      'steps: [{id: a, until: "true", every: 100ms, timeout: 1h, fake.look: {}}, {id: b, fake.look: {}}]';
    expect((await h.run(text, { maxSteps: 2 })).exit).toBe(0);
    expect(h.calls).toHaveLength(52);
  }));

test("no rescue, retry or ignore_error takes it, also not in a resumed run; what was done is taken back, however much", () =>
  withHarness(async (h) => {
    const undo = "undo: [{id: u, foreach: [1, 2, 3], fake.again: {}}]";
    const text = `
steps:
  - id: g
    ignore_error: true
    retry: {attempts: 3, on: "true"}
    block: [{id: a, foreach: [1, 2, 3, 4], ignore_error: true, fake.keep: {}, ${undo}}]
    rescue: [{id: r, fake.keep: {}}]
    always: [{id: close, fake.again: {}}]
`;
    const ran = await h.run(text, { maxSteps: 3 });
    expect(ran).toMatchObject({ exit: 5, error: { code: "limit_exceeded", step: "a/3" } });
    expect(ran.envelope.error).not.toHaveProperty("final");
    const undone = (item: number) => [0, 1, 2].map((n) => `act a/${item}~undo/u/${n}`);
    const taken = [...undone(2), ...undone(1), ...undone(0), "act close"];
    expect(h.calls).toEqual(["act a/0", "act a/1", "act a/2", ...taken]);

    h.journal.db.run("DELETE FROM step WHERE path LIKE '%~%' OR path = 'close'");
    h.calls.length = 0;
    const again = await h.run(text, { maxSteps: 3, resume: {} });
    expect(h.calls).toEqual(taken);
    expect(again).toMatchObject({ exit: 5, error: { code: "limit_exceeded" } });
  }));

test("a signal is seen before the next step, however instant the steps are", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      inner: (ctx) => {
        // As a real signal does, it comes by way of the event loop.
        if (ctx.step.path === "outer/4/inner/7") setImmediate(() => stop.request("SIGTERM"));
        return null;
      },
    };
    const ran = await h.run(LOOPS, { stop });
    expect(ran).toMatchObject({ exit: 130, error: { code: "interrupted" } });
    expect(h.calls).toHaveLength(48);
  }));

test("the timeout of a block, and of whatever is around it, is seen before the next step", () =>
  withHarness(async (h) => {
    h.write("sub/loops", `summary: S\nrisk: read\n${LOOPS}`);
    const busy = () => {
      const end = performance.now() + 1_550;
      while (performance.now() < end);
      return null;
    };
    for (const [text, prefix] of [
      [`steps:\n  - {id: g, timeout: 1500ms, block: [{id: c, run: sub/loops}]}\n`, "c/"],
      [`steps:\n  - {id: c, timeout: 1500ms, run: sub/loops}\n`, "c/"],
      [
        `steps:\n  - {id: g, until: "false", timeout: 1500ms, block: [{id: h, block: [{id: c, run: sub/loops}]}]}\n`,
        "c/",
      ],
    ] as const) {
      h.calls.length = 0;
      h.on = { inner: (ctx) => (ctx.step.path.endsWith("outer/0/inner/2") ? busy() : null) };
      const ran = await h.run(text, { clock: systemClock });
      expect(ran).toMatchObject({ exit: 1, error: { code: "timeout" } });
      expect(h.calls.at(-1)).toBe(`look ${prefix}outer/0/inner/2`);
      expect(h.calls).toHaveLength(3);
    }
  }));

test("a long run says no more than can be read: warnings beyond the first hundred are counted", () =>
  withHarness(async (h) => {
    h.on = {
      inner: (ctx) => {
        ctx.warn(`warning of ${ctx.step.path}`);
        return null;
      },
    };
    const ran = await h.run(LOOPS.replace("foreach: [0, 1, 2,", "foreach: [0, 0, 0, 1, 2,"));
    expect(ran.steps.length).toBe(145);
    expect(ran.run.warnings).toHaveLength(101);
    expect(ran.run.warnings.at(-1)).toBe("20 more warnings are not listed");
  }));
