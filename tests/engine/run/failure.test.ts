import { PgdbaError } from "../../../engine/errors.ts";
import { expect, test } from "bun:test";
import {
  type Behaviour,
  fail,
  failing,
  type Harness,
  sequence,
  untilAborted,
  withHarness,
} from "./harness.ts";

import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));

test("rescue takes a failure, sees it as `error`, and the run goes on as recovered", () =>
  withHarness(async (h) => {
    h.on = { b: fail("broken"), r: (_, input) => input };
    const ran = await h.run(`
steps:
  - id: guarded
    block: [{id: a, fake.act: {}}, {id: b, fake.act: {}}, {id: c, fake.act: {}}]
    rescue: [{id: r, fake.look: {why: "{{error.code}} {{error.step}} {{error.message}}"}}]
  - {id: after, when: steps.guarded.status == 'recovered', fake.act: {}}
output: {why: "steps.r.status == 'ok' ? steps.r.output.why : null"}
`);
    expect(ran).toMatchObject({ exit: 0, status: "ok", data: { why: "step_failed b broken" } });
    expect(ran.ended).toEqual(["a ok", "b failed", "r ok", "guarded recovered", "after ok"]);
    expect(acts(h)).toEqual(["act a", "act b", "act after"]);
  }));

test("a step of a recovered block is taken back when the run fails later, and `error` ends with the rescue", () =>
  withHarness(async (h) => {
    h.on = { b: fail("first"), c: fail("second") };
    const ran = await h.run(
      "steps:\n  - {id: g, block: [{id: a, fake.act: {}}, {id: b, fake.look: {}}], rescue: [{id: r, fake.act: {}}]}\n  - {id: c, fake.look: {}}\n",
    );
    expect(ran.error).toMatchObject({ message: "second" });
    expect(acts(h)).toEqual(["act a", "act r", "undo r", "undo a"]);
    await expect(
      h.run(
        'steps:\n  - {id: g, block: [{fake.look: {}}], rescue: [{fake.look: {}}]}\n  - {fake.look: {e: "{{error.code}}"}}\n',
      ),
    ).rejects.toThrow(/error/);
  }));

test("rescue and always nest: innermost first, and at once when the failure is taken further out", () =>
  withHarness(async (h) => {
    h.on = { boom: fail("boom"), r1: fail("rescue fails"), r2: (_, input) => input.why };
    const ran = await h.run(`
steps:
  - id: outer
    block:
      - id: inner
        block: [{id: a, fake.act: {}}, {id: boom, fake.look: {}}]
        rescue: [{id: r1, fake.look: {}}]
        always: [{id: close1, fake.keep: {}}]
    rescue: [{id: r2, fake.look: {why: "{{error.message}}"}}]
    always: [{id: close2, fake.keep: {}}]
  - {id: after, fake.keep: {}}
output: {why: steps.r2.output}
`);
    expect(ran.data).toEqual({ why: "rescue fails" });
    expect(h.calls).toEqual([
      "act a",
      "look boom",
      "look r1",
      "act close1",
      "look r2",
      "act close2",
      "act after",
    ]);
  }));

test("when the failure ends the run, always waits for the undo phase", () =>
  withHarness(async (h) => {
    h.on = { boom: fail("boom") };
    const ran = await h.run(`
steps:
  - {id: a, fake.act: {}}
  - id: outer
    block:
      - id: inner
        block: [{id: b, fake.act: {}}, {id: boom, fake.act: {}}]
        always: [{id: close1, fake.keep: {}}]
    always: [{id: close2, fake.keep: {}}]
`);
    expect(h.calls).toEqual([
      "act a",
      "act b",
      "act boom",
      "undo boom unfinished",
      "undo b",
      "undo a",
      "act close1",
      "act close2",
    ]);
    expect(ran).toMatchObject({
      exit: 5,
      status: "undone",
      error: { message: "boom", step: "boom" },
      run: { undo: { undone: 3, failed: [] } },
    });
  }));

test("always runs when the failure is ignored or retried, not later or never", () =>
  withHarness(async (h) => {
    h.write(
      "sub/fails",
      "summary: S\nrisk: change\nsteps: [{id: g, block: [{id: boom, fake.look: {}}], always: [{id: close, fake.keep: {}}]}]\n",
    );
    h.on = { boom: fail("boom"), flaky: failing(1) };
    const ran = await h.run(`
steps:
  - {id: ignored, ignore_error: true, block: [{id: b1, block: [{id: boom, fake.look: {}}], always: [{id: c1, fake.keep: {}}]}], always: [{id: c2, fake.keep: {}}]}
  - {id: called, ignore_error: true, run: sub/fails}
  - {id: tried, retry: {attempts: 2}, block: [{id: flaky, fake.look: {}}], always: [{id: c3, fake.keep: {}}]}
  - {id: polled, until: "true", block: [{id: again, block: [{id: x, fake.look: {}}], always: [{id: c4, fake.again: {}}]}]}
`);
    expect(ran.exit).toBe(0);
    expect(acts(h)).toEqual([
      "act c1",
      "act c2",
      "act called/close",
      "act c3",
      "act tried@2/c3",
      "act c4",
    ]);
  }));

test("always of parallel items: one item's rescue does not run another's", () =>
  withHarness(async (h) => {
    const rescued = [0, 1, 2].map(() => Promise.withResolvers<void>());
    h.on = {
      // Each fails when the one before has been rescued.
      boom: async (_, input) => {
        await rescued[input.n - 1]?.promise;
        throw new Error(`${input.n}`);
      },
      r: (_, input) => {
        rescued[input.n]!.resolve();
        return null;
      },
    };
    const ran = await h.run(`
steps:
  - id: each
    foreach: [0, 1, 2]
    parallel: 3
    block: [{id: inner, block: [{id: boom, fake.look: {n: "\${item}"}}], always: [{id: close, fake.keep: {}}]}]
    rescue: [{id: r, fake.keep: {n: "\${item}"}}]
`);
    expect(ran.exit).toBe(0);
    expect(acts(h)).toEqual([0, 1, 2].flatMap((n) => [`act each/${n}/close`, `act each/${n}/r`]));
  }));

test("an always that fails: after a success it fails the run, after a failure the first error stands and a person must look", () =>
  withHarness(async (h) => {
    h.on = { close: fail("can't close") };
    const good = await h.run(
      "steps: [{id: g, block: [{id: a, fake.act: {}}], always: [{id: close, fake.keep: {}}]}]",
    );
    expect(good).toMatchObject({ exit: 5, error: { message: "can't close" } });
    h.on["a"] = fail("first");
    const bad = await h.run(
      "steps: [{id: g, block: [{id: a, fake.act: {}}], always: [{id: close, fake.keep: {}}]}]",
    );
    expect(bad).toMatchObject({
      exit: 6,
      status: "needs_operator",
      error: { message: "first" },
      run: { undo: { failed: [{ path: "g" }] } },
    });
    const rescued = await h.run(
      "steps: [{id: o, block: [{id: g, block: [{id: a, fake.act: {}}], always: [{id: close, fake.keep: {}}]}], rescue: [{id: r, fake.keep: {}}]}]",
    );
    expect(rescued).toMatchObject({
      exit: 5,
      error: { message: "first" },
      run: { warnings: ["always of g: can't close"] },
    });
    expect(acts(h)).not.toContain("act r");
  }));

test("undo: last in first out, of all that started, in loops and called runbooks; `undo: false` and what changed nothing are left", () =>
  withHarness(async (h) => {
    h.write(
      "sub/one",
      "summary: S\nrisk: change\nparams: {n: {type: integer, default: 1}}\nsteps: [{id: inner, fake.act: {}}]\n",
    );
    h.on = {
      same: (ctx) => {
        ctx.unchanged();
        return null;
      },
      boom: fail(),
    };
    const ran = await h.run(`
steps:
  - {id: a, fake.act: {}}
  - {id: kept, undo: false, fake.act: {}}
  - {id: same, fake.act: {}}
  - {id: each, foreach: [1, 2], fake.act: {}}
  - {id: called, foreach: [1, 2], run: {runbook: sub/one, params: {n: "\${item}"}}}
  - {id: skipped, when: "false", fake.act: {}}
  - {id: boom, fake.act: {}}
  - {id: never, fake.act: {}}
`);
    expect(ran).toMatchObject({ exit: 5, run: { undo: { undone: 6 } } });
    expect(acts(h).filter((call) => call.startsWith("undo"))).toEqual([
      "undo boom unfinished",
      "undo called/1/inner",
      "undo called/0/inner",
      "undo each/1",
      "undo each/0",
      "undo a",
    ]);
    const undone = h.journal.steps("run-1").filter((row) => row.phase === "undo");
    expect(undone.map(({ path, status }) => `${path} ${status}`)[0]).toBe("boom~undo ok");
    expect(undone).toHaveLength(6);
  }));

test("a step that refused before it acted has nothing to be taken back", () =>
  withHarness(async (h) => {
    h.on = {
      no: () => {
        throw new PgdbaError("invalid_param", "not with this input");
      },
    };
    const alone = await h.run("steps: [{id: no, fake.act: {}}]\n");
    expect(alone).toMatchObject({ exit: 2, status: "failed" });
    const after = await h.run("steps: [{id: a, fake.act: {}}, {id: no, fake.act: {}}]\n");
    expect(after).toMatchObject({ exit: 5, run: { undo: { undone: 1 } } });
  }));

test("a list of undo steps is rendered before the step acts, and is on disk by then", () =>
  withHarness(async (h) => {
    const state = { name: "before" };
    let onDisk: unknown;
    h.on = {
      state: () => ({ ...state }),
      a: () => {
        onDisk = h.journal.steps("run-1").find((row) => row.path === "a");
        state.name = "after";
        return { name: "made" };
      },
      back: (_, input) => input,
      boom: fail(),
    };
    const ran = await h.run(`
steps:
  - {id: state, fake.look: {}}
  - id: a
    fake.act: {}
    undo:
      - {id: back, fake.keep: {to: "{{steps.state.output.name}}", at: "\${steps.state.output.name + '!'}"}}
      - {id: each, foreach: [1, 2], fake.keep: {n: "\${item}"}}
      - {id: group, foreach: [1], block: [{id: deep, fake.keep: {n: "{{item}}"}}]}
  - {id: boom, fake.look: {}}
`);
    expect(onDisk).toMatchObject({
      status: "open",
      undo: [{ "fake.keep": { to: "before", at: "before!" } }, {}, null],
    });
    expect(acts(h)).toEqual([
      "act a",
      "act a~undo/back",
      "act a~undo/each/0",
      "act a~undo/each/1",
      "act a~undo/group/0/deep",
    ]);
    expect(
      h.journal.steps("run-1").find((row) => row.path === "a~undo/back")!.result!.output,
    ).toEqual({ to: "before", at: "before!" });
    expect(ran).toMatchObject({ exit: 5, run: { undo: { undone: 1 } } });
  }));

test("each try of a block is taken back with what it knew, not with what a later try found", () =>
  withHarness(async (h) => {
    h.on = {
      state: sequence({ name: "one" }, { name: "two" }),
      flaky: failing(1),
      back: (_, input) => void h.calls.push(`back to ${input.to}`) as never,
      boom: fail(),
    };
    await h.run(`
steps:
  - id: g
    retry: {attempts: 2}
    block:
      - {id: state, fake.look: {}}
      - {id: a, fake.act: {}, undo: [{id: back, fake.keep: {to: "{{steps.state.output.name}}"}}]}
      - {id: flaky, fake.look: {}}
  - {id: boom, fake.look: {}}
`);
    expect(h.calls.filter((call) => call.startsWith("back"))).toEqual([
      "back to two",
      "back to one",
    ]);
  }));

test("what can't be rendered for the undo stops the step before it acts", () =>
  withHarness(async (h) => {
    h.on = { look: () => ({}) };
    const ran = await h.run(
      'steps:\n  - {id: look, fake.look: {}}\n  - {id: a, fake.act: {}, undo: [{fake.keep: {to: "{{steps.look.output.name}}"}}]}\n',
    );
    expect(ran).toMatchObject({ exit: 1, error: { code: "expression_failed", step: "a" } });
    expect(acts(h)).toEqual([]);
  }));

test("a failing undo does not stop the others; the first error is the one told, and a person must look", () =>
  withHarness(async (h) => {
    h.on = { "b~undo": fail("can't undo"), boom: fail("first") };
    const ran = await h.run(
      "steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}, {id: c, fake.act: {}}, {id: boom, fake.look: {}}]",
    );
    expect(acts(h)).toEqual(["act a", "act b", "act c", "undo c", "undo b", "undo a"]);
    expect(ran).toMatchObject({
      exit: 6,
      status: "needs_operator",
      error: { message: "first" },
      run: { undo: { undone: 2, failed: [{ path: "b", error: { message: "can't undo" } }] } },
    });
  }));

test("a step that failed with nothing to take back has not been undone", () =>
  withHarness(async (h) => {
    const nothing: Behaviour = (ctx) => {
      ctx.unchanged();
      return null;
    };
    h.on = { boom: fail("first"), "boom~undo": nothing };
    const alone = await h.run("steps: [{id: boom, fake.act: {}}]");
    expect(alone).toMatchObject({ exit: 1, status: "failed", error: { code: "step_failed" } });
    expect(alone.run.undo).toBeUndefined();
    const after = await h.run("steps: [{id: a, fake.act: {}}, {id: boom, fake.act: {}}]");
    expect(after).toMatchObject({ exit: 5, status: "undone", run: { undo: { undone: 1 } } });
  }));

test("a step that was tried again is taken back once, even when its last try found nothing to do", () =>
  withHarness(async (h) => {
    let tries = 0;
    h.on = {
      a: (ctx) => {
        if (++tries === 1) return failing(1)(ctx, {});
        ctx.unchanged();
        return null;
      },
      boom: fail(),
    };
    await h.run("steps: [{id: a, fake.act: {}, retry: {attempts: 2}}, {id: boom, fake.look: {}}]");
    expect(acts(h)).toEqual(["act a", "act a", "undo a"]);
  }));

test("timeout: the attempt ends with its signal, is retryable, and nothing of it goes on", () =>
  withHarness(async (h) => {
    h.on = { a: untilAborted };
    const ran = await h.run(
      "steps: [{id: a, fake.act: {}, timeout: 300ms, retry: {attempts: 2, backoff: 1ms}}]",
    );
    expect(ran.error).toMatchObject({ code: "timeout", step: "a", retryable: true });
    expect(acts(h)).toEqual(["act a", "act a", "undo a unfinished"]);
  }));

test("timeout of a block: neither retries nor polls nor later steps in it go on, and its always runs", () =>
  withHarness(async (h) => {
    for (const inner of [
      "{id: a, fake.look: {}, retry: {attempts: 9, backoff: 60s}}",
      '{id: a, fake.look: {}, until: "false", every: 60s, timeout: 1h}',
    ]) {
      h.calls.length = 0;
      h.on = { a: inner.includes("retry") ? failing(9) : () => null, r: (_, input) => input };
      const started = performance.now();
      const ran = await h.run(
        `steps:\n  - id: g\n    timeout: 300ms\n    block: [{id: inner, block: [${inner}, {id: b, fake.act: {}}], always: [{id: close, fake.keep: {}}]}]\n    rescue: [{id: r, fake.look: {why: "{{error.code}}"}}]\noutput: {why: "steps.r.status == 'ok' ? steps.r.output.why : null"}\n`,
        { clock: (await import("../../../engine/clock.ts")).systemClock },
      );
      expect(performance.now() - started).toBeLessThan(20_000);
      expect(ran.data).toEqual({ why: "timeout" });
      expect(h.calls).toEqual(["look a", "act close", "look r"]);
    }
  }));

test("timeout of a call: what it called has ended before anything is taken back", () =>
  withHarness(async (h) => {
    h.write(
      "sub/slow",
      "summary: S\nrisk: change\nsteps: [{id: slow, fake.act: {}}, {id: later, fake.act: {}}]\n",
    );
    let ended = false;
    h.on = {
      slow: async (ctx) => {
        await new Promise<void>((resolve) =>
          ctx.signal.addEventListener("abort", () => resolve(), { once: true }),
        );
        await Bun.sleep(20);
        ended = true;
        h.calls.push("end slow");
        throw ctx.signal.reason;
      },
    };
    const ran = await h.run("steps: [{id: called, run: sub/slow, timeout: 300ms}]");
    expect(ended).toBe(true);
    expect(ran.error).toMatchObject({
      code: "timeout",
      message: "called did not end within 300ms",
    });
    expect(acts(h)).toEqual(["act called/slow", "end slow", "undo called/slow unfinished"]);
  }));

test("always of an item whose failure ends the run waits, though another item is retried", () =>
  withHarness(async (h) => {
    h.on = {
      work: async (ctx, input) => {
        await Bun.sleep(input.n === 0 ? 1 : 10);
        if (input.n === 1 && ctx.step.path.includes("@2")) return null;
        throw new Error(input.n === 0 ? "final" : "again");
      },
    };
    const ran = await h.run(`
steps:
  - {id: a, fake.act: {}}
  - id: each
    foreach: [0, 1]
    parallel: 2
    retry: {attempts: 2, on: "error.message == 'again'"}
    block: [{id: work, fake.look: {n: "\${item}"}}]
    always: [{id: close, fake.keep: {}}]
`);
    expect(ran.error).toMatchObject({ message: "final", step: "each/0/work" });
    expect(acts(h)).toEqual([
      "act a",
      "act each/1/close",
      "act each/1@2/close",
      "undo a",
      "act each/0/close",
    ]);
  }));

test("the undo of each attempt sees its own values: in lists, conditions, a rescue, and a type's undo", () =>
  withHarness(async (h) => {
    let made = 0;
    const seen: unknown[] = [];
    const note: Behaviour = (ctx, input) =>
      seen.push(`${ctx.step.path.split("/").at(-1)} ${JSON.stringify(input)}`);
    h.on = {
      make: () => ({ names: [`t${++made}`], n: made }),
      drop: note,
      odd: note,
      saved: note,
      bad: fail(),
      own: (_, input) => input,
      "own~undo": (ctx) => seen.push(`own ${ctx.evaluate("steps.make.output.n")}`),
      end: fail("in the end", true),
    };
    await h.run(`
steps:
  - id: g
    retry: {attempts: 2, backoff: 1ms}
    block:
      - {id: make, fake.look: {}}
      - {id: own, fake.act: {}}
      - id: listed
        fake.keep: {}
        undo: [{id: drop, foreach: steps.make.output.names, fake.again: {name: "{{item}}"}}]
      - id: asked
        fake.keep: {}
        undo: [{id: odd, when: steps.make.output.n == 1, fake.again: {n: "{{steps.make.output.n}}"}}]
      - id: rescued
        fake.keep: {}
        undo: [{id: b, block: [{id: bad, fake.again: {}}], rescue: [{id: saved, fake.again: {n: "{{steps.make.output.n}}"}}]}]
      - {id: end, fake.look: {}}
`);
    expect(seen).toEqual([
      'saved {"n":"2"}',
      '0 {"name":"t2"}',
      "own 2",
      'saved {"n":"1"}',
      'odd {"n":"1"}',
      '0 {"name":"t1"}',
      "own 1",
    ]);
  }));

test("the output of a failed run tells nothing of what was taken back, and keeps what was read", () =>
  withHarness(async (h) => {
    h.on = {
      read: () => ({ size: 7 }),
      made: () => ({ created: true }),
      kept: () => ({ sent: true }),
      boom: fail("boom"),
    };
    h.write(
      "demo/inner",
      "summary: A test.\nrisk: change\nsteps: [{id: made, fake.act: {}}]\noutput: {created: steps.made.output.created}\n",
    );
    const ran = await h.run(`
steps:
  - {id: read, fake.look: {}}
  - {id: made, fake.act: {}}
  - {id: kept, fake.keep: {}}
  - id: group
    block: [{id: inside, fake.act: {}}]
    output: {path: steps.inside.output.path}
  - {id: each, foreach: [1, 2], fake.act: {}}
  - {id: called, run: {runbook: demo/inner}}
  - {id: boom, fake.look: {}}
output:
  size: steps.read.output.size
  created: steps.made.output.created
  ok: steps.made.status == 'ok'
  sent: steps.kept.output.sent
  group: steps.group.output.path
  inside: has(steps.inside.output.path)
  each: size(steps.each.output)
  called: steps.called.output.created
`);
    expect(ran).toMatchObject({ exit: 5, status: "undone" });
    expect(ran.data).toEqual({ size: 7, sent: true });
  }));

test("what an undo found untouched is told, and what an undo broke at is not", () =>
  withHarness(async (h) => {
    h.on = {
      there: () => ({ created: false }),
      "there~undo": (ctx) => (ctx.unchanged(), null),
      made: () => ({ created: true }),
      "made~undo": fail("no"),
      boom: fail("boom"),
    };
    const ran = await h.run(
      "steps: [{id: there, fake.act: {}}, {id: made, fake.act: {}}, {id: boom, fake.look: {}}]\noutput: {there: steps.there.output.created, made: steps.made.output.created}\n",
    );
    expect(ran.exit).toBe(6);
    expect(ran.data).toEqual({ there: false });
  }));

test("what the operating system says of a file is its own kind of failure, whichever step meets it", () =>
  withHarness(async (h) => {
    const met: [Behaviour, code: string, named: string][] = [
      [() => readFileSync("/proc/nowhere/x", "utf8"), "io_failed", "/proc/nowhere/x"],
      [() => readFile("/", "utf8"), "io_failed", "EISDIR"],
      [() => void mkdirSync("/proc/twin") as never, "io_failed", "/proc/twin"],
      [
        () => {
          const full = openSync("/dev/full", "w");
          try {
            return writeSync(full, "x");
          } finally {
            closeSync(full);
          }
        },
        "io_failed",
        "ENOSPC",
      ],
      [() => Bun.spawnSync(["/proc/nowhere/x"]) as never, "step_failed", "nowhere"],
    ];
    for (const [odd, code, named] of met) {
      h.on = { odd };
      const { error } = await h.run("steps:\n  - {id: odd, fake.look: {}}\n");
      expect(error).toMatchObject({ code, step: "odd" });
      expect(error!.message).toContain(named);
      if (code === "io_failed") expect(error!.hint).toContain("space");
    }
  }));
