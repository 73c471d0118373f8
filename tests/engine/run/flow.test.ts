import { expect, test } from "bun:test";
import { systemClock } from "../../../engine/clock.ts";
import { fail, failing, sequence, withHarness } from "./harness.ts";

test("steps run in order, each seeing what the earlier ones gave; `when` skips", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ n: 2 }), b: (_, input) => ({ got: input.n }) };
    const ran = await h.run(
      `
params: {go: {type: boolean, default: false}}
steps:
  - id: a
    fake.look: {}
  - id: b
    fake.act: {n: "\${steps.a.output.n + 1}", text: "{{params.go}} on {{target.name}} {{target.version}}"}
  - id: c
    when: params.go
    fake.act: {}
  - id: d
    when: steps.c.status == 'skipped' && steps.c.output == null && steps.b.changed
    fake.look: {}
output: {got: steps.b.output.got, nested: {changed: steps.b.changed}, id: run.id}
`,
      { params: { go: false } },
    );
    expect(ran.ended).toEqual(["a ok", "b ok", "c skipped", "d ok"]);
    expect(h.calls).toEqual(["look a", "act b", "look d"]);
    expect(ran.data).toEqual({ got: 3, nested: { changed: true }, id: "run-1" });
    expect(ran).toMatchObject({ exit: 0, status: "ok", error: null });
    expect(h.journal.run("run-1")).toMatchObject({ status: "ok", exit: 0, output: { got: 3 } });
  }));

test("a condition that is neither true nor false is a failure, not a skip", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ n: "yes" }) };
    const ran = await h.run(
      "steps:\n  - {id: a, fake.look: {}}\n  - {id: b, when: steps.a.output.n, fake.act: {}}\n",
    );
    expect(ran).toMatchObject({ exit: 1, error: { code: "expression_failed", step: "b" } });
    expect(h.calls).toEqual(["look a"]);
  }));

test("a failure names step, file and line, and ends the run", () =>
  withHarness(async (h) => {
    h.on = { a: fail("no") };
    const ran = await h.run("steps:\n  - {id: a, fake.look: {}}\n  - {id: b, fake.act: {}}\n");
    expect(ran.error).toMatchObject({
      code: "step_failed",
      message: "no",
      step: "a",
      where: { line: 4 },
    });
    expect(ran.error!.where!.file).toEndWith("demo/one.yaml");
    expect(ran).toMatchObject({ exit: 1, status: "failed" });
    expect(h.calls).toEqual(["look a"]);
  }));

test("what a step throws that is no error of ours is a failure of the step", () =>
  withHarness(async (h) => {
    h.on = {
      a: () => {
        throw new TypeError("oops");
      },
    };
    expect((await h.run("steps: [{id: a, fake.look: {}}]")).error).toMatchObject({
      code: "step_failed",
      message: "oops",
      step: "a",
    });
  }));

test("a rendered input is checked against the step's schema before the step runs", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ list: [1] }) };
    const ran = await h.run(
      'steps:\n  - {id: a, fake.look: {}}\n  - id: w\n    wait: {for: "${steps.a.output.list}"}\n',
    );
    expect(ran.error).toMatchObject({ code: "invalid_param", step: "w" });
  }));

test("foreach: outputs in the order of the items, null for a skipped one, a list even of one", () =>
  withHarness(async (h) => {
    h.on = { each: (ctx, input) => `${ctx.step.path} ${input.n}`, one: () => "x" };
    const ran = await h.run(`
steps:
  - id: each
    foreach: [5, 6, 7]
    as: n
    when: n != 6
    fake.look: {n: "\${n}", i: "\${index}"}
  - id: one
    foreach: "[1]"
    fake.look: {}
  - id: none
    foreach: "[]"
    fake.look: {}
  - id: skipped
    foreach: [1, 2]
    when: "false"
    fake.look: {}
output: {each: steps.each.output, one: steps.one.output, none: steps.none.output, skipped: steps.skipped.status}
`);
    expect(ran.data).toEqual({
      each: ["each/0 5", null, "each/2 7"],
      one: ["x"],
      none: [],
      skipped: "skipped",
    });
    expect(ran.steps.find((step) => step.path === "each")).toMatchObject({
      status: "ok",
      changed: false,
    });
  }));

test("foreach: `parallel` is a limit, and the order of the outputs does not depend on who ends first", () =>
  withHarness(async (h) => {
    let running = 0;
    let most = 0;
    h.on = {
      each: async (_, input) => {
        most = Math.max(most, ++running);
        await Bun.sleep(input.n === 0 ? 20 : 2);
        running -= 1;
        return input.n;
      },
    };
    const ran = await h.run(
      "steps: [{id: each, foreach: [0, 1, 2, 3, 4, 5], parallel: 3, fake.look: {n: '${item}'}}]\noutput: {list: steps.each.output}\n",
    );
    expect(most).toBe(3);
    expect(ran.data["list"]).toEqual([0, 1, 2, 3, 4, 5]);
  }));

test("foreach: a parameter may say how many at a time, and one that is no such number is refused", () =>
  withHarness(async (h) => {
    let running = 0;
    let most = 0;
    h.on = {
      each: async () => {
        most = Math.max(most, ++running);
        await Bun.sleep(5);
        running -= 1;
        return null;
      },
    };
    const text =
      "params: {jobs: {type: integer, required: true}}\nsteps: [{id: each, foreach: [0, 1, 2, 3, 4], parallel: params.jobs, fake.look: {n: '${item}'}}]\n";
    await h.run(text, { params: { jobs: 2 } });
    expect(most).toBe(2);
    const ran = await h.run(text, { params: { jobs: 65 } });
    expect(ran.error).toMatchObject({ code: "invalid_param" });
  }));

test("foreach: the first failure stops the starting of items, and those under way are waited for", () =>
  withHarness(async (h) => {
    let ended = false;
    h.on = {
      each: async (_, input) => {
        if (input.n === 1) throw new Error("one");
        await Bun.sleep(15);
        ended = true;
        return null;
      },
    };
    const ran = await h.run(
      "steps: [{id: each, foreach: [0, 1, 2, 3, 4], parallel: 2, fake.act: {n: '${item}'}}]\n",
    );
    expect(ran.error).toMatchObject({ message: "one", step: "each/1" });
    expect(ended).toBe(true);
    expect(h.calls).toEqual(["act each/0", "act each/1", "undo each/1 unfinished", "undo each/0"]);
    expect(ran.ended).toEqual(["each/1 failed", "each/0 ok", "each failed"]);
  }));

test("foreach over a block: inner steps are seen inside, per item, and not outside; loops nest", () =>
  withHarness(async (h) => {
    h.on = { inner: (_, input) => input.n, pair: (_, input) => input.text };
    const ran = await h.run(`
steps:
  - id: outer
    foreach: "['a', 'b']"
    as: letter
    block:
      - {id: inner, fake.look: {n: "\${letter}"}}
      - id: pair
        foreach: [1, 2]
        fake.look: {text: "{{steps.inner.output}}{{letter}}{{item}}{{index}}"}
      - assert: {that: "steps.pair.output == [letter + letter + '10', letter + letter + '21']", message: no}
`);
    expect(ran.error).toBeNull();
    expect(h.calls).toEqual([
      "look outer/0/inner",
      "look outer/0/pair/0",
      "look outer/0/pair/1",
      "look outer/1/inner",
      "look outer/1/pair/0",
      "look outer/1/pair/1",
    ]);
    await expect(
      h.run(
        "steps:\n  - {id: outer, foreach: [1], block: [{id: inner, fake.look: {}}]}\n  - {when: steps.inner.status == 'ok', fake.look: {}}\n",
      ),
    ).rejects.toThrow(/inside a foreach block/);
  }));

test("foreach refuses what is no list, and what is too long", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ no: "list", long: Array.from({ length: 10_001 }, () => 0) }) };
    const steps = (over: string) =>
      `steps:\n  - {id: a, fake.look: {}}\n  - {id: b, foreach: steps.a.output.${over}, fake.act: {}}\n`;
    expect((await h.run(steps("no"))).error).toMatchObject({
      code: "expression_failed",
      step: "b",
    });
    expect((await h.run(steps("long"))).error).toMatchObject({ code: "limit_exceeded", step: "b" });
    expect(h.calls).not.toContain("act b/0");
  }));

test("retry: attempts, and a pause that doubles up to 30 s", () =>
  withHarness(async (h) => {
    h.on = { a: failing(7) };
    const ran = await h.run("steps: [{id: a, fake.look: {}, retry: {attempts: 8, backoff: 1s}}]\n");
    expect(ran.steps[0]).toMatchObject({ status: "ok", attempts: 8 });
    expect(h.clock.slept).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    const retries = h.events.filter((event) => event.kind === "step.retrying");
    expect(retries.map(({ attempt, delay_ms }) => [attempt, delay_ms])).toEqual([
      [2, 1000],
      [3, 2000],
      [4, 4000],
      [5, 8000],
      [6, 16000],
      [7, 30000],
      [8, 30000],
    ]);
  }));

test("retry: no more than its attempts; without `on` only what is retryable; with it what it says", () =>
  withHarness(async (h) => {
    h.on = { a: failing(9), b: fail("final"), c: fail("once more") };
    const ran = await h.run("steps: [{id: a, fake.look: {}, retry: {attempts: 3}}]\n");
    expect(ran.steps[0]).toMatchObject({
      status: "failed",
      attempts: 3,
      error: { message: "failure, 6 left" },
    });
    await h.run("steps: [{id: b, fake.look: {}, retry: {attempts: 3}}]\n");
    expect(h.calls.filter((call) => call === "look b")).toHaveLength(1);
    await h.run(
      "steps: [{id: c, fake.look: {}, retry: {attempts: 3, on: \"error.message == 'once more' && !error.retryable\"}}]\n",
    );
    expect(h.calls.filter((call) => call === "look c")).toHaveLength(3);
  }));

test("retry: an `on` that can't be evaluated does not hide the failure", () =>
  withHarness(async (h) => {
    h.on = { a: fail("the cause") };
    const ran = await h.run(
      "steps: [{id: a, fake.look: {}, retry: {attempts: 3, on: error.data.state == 1}}]\n",
    );
    expect(ran.error).toMatchObject({ message: "the cause" });
    expect(ran.run.warnings[0]).toContain("retry.on of a");
  }));

test("retry of a block does all of it again, in places of its own", () =>
  withHarness(async (h) => {
    h.on = { b: failing(1) };
    const ran = await h.run(
      "steps:\n  - id: both\n    retry: {attempts: 2}\n    block: [{id: a, fake.act: {}}, {id: b, fake.act: {}}]\n  - {id: after, when: steps.b.status == 'ok', fake.look: {}}\n",
    );
    expect(h.calls).toEqual(["act a", "act b", "act both@2/a", "act both@2/b", "look after"]);
    expect(ran.ended.at(-2)).toBe("both ok");
  }));

test("until: reads again until it holds, with `output` and `attempt`, waiting `every` in between", () =>
  withHarness(async (h) => {
    h.on = { a: sequence({ n: 1 }, { n: 2 }, { n: 3 }) };
    const ran = await h.run(
      "steps: [{id: a, fake.look: {}, until: output.n == 3 && attempt == 3, every: 250ms}]\noutput: {n: steps.a.output.n}\n",
    );
    expect(ran.data).toEqual({ n: 3 });
    expect(h.clock.slept).toEqual([250, 250]);
    expect(ran.steps[0]).toMatchObject({ status: "ok", attempts: 1 });
  }));

test("until: a timeout tells what was seen last; retryable failures are polled past, others end it", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ n: 1 }), b: failing(2, { n: 3 }), c: fail("for good") };
    const late = await h.run(
      "steps: [{id: a, fake.look: {}, until: output.n == 3, every: 1s, timeout: 5s}]\n",
    );
    expect(late.error).toMatchObject({ code: "timeout", step: "a" });
    expect(late.error!.message).toMatch(
      /did not end within 5s; it was last:\n(.|\n)*output\.n\s.*1/,
    );
    expect(h.calls).toHaveLength(6);
    expect((await h.run("steps: [{id: b, fake.look: {}, until: output.n == 3}]\n")).exit).toBe(0);
    expect(
      (await h.run("steps: [{id: c, fake.look: {}, until: output.n == 3}]\n")).error,
    ).toMatchObject({ message: "for good" });
  }));

test("until with retry: the timeout is the time of all attempts together", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ n: 1 }), b: fail("no") };
    const polled = await h.run(
      "steps: [{id: a, fake.look: {}, until: output.n == 2, every: 1s, timeout: 20s, retry: {attempts: 5, backoff: 10s}}]\n",
    );
    expect(polled.error).toMatchObject({ code: "timeout" });
    expect(h.clock.slept.reduce((sum, ms) => sum + ms)).toBeLessThanOrEqual(21_000);
    h.clock.slept.length = 0;
    await h.run(
      "steps: [{id: b, fake.look: {}, until: output.n == 2, timeout: 20s, retry: {attempts: 50, backoff: 10s, on: 'true'}}]\n",
    );
    expect(h.clock.slept).toEqual([10_000, 20_000]);
  }));

test("a block yields its `output`, a loop of blocks a list of them; it sees the steps that did not run", () =>
  withHarness(async (h) => {
    h.on = { try: (_, { name }) => (name === "b" ? fail("not b")(_, {}) : { name }) };
    const ran = await h.run(
      `
steps:
  - id: each
    foreach: ["a", "b"]
    as: name
    block:
      - {id: try, fake.look: {name: "\${name}"}}
      - {id: after, fake.look: {}}
    rescue:
      - {id: instead, fake.look: {}}
    output:
      name: name
      ok: steps.try.status == 'ok'
      nested: {after: steps.after.status, instead: steps.instead.status}
output: {each: steps.each.output}
`,
    );
    expect(ran.error).toBeNull();
    expect(ran.data["each"]).toEqual([
      { name: "a", ok: true, nested: { after: "ok", instead: "skipped" } },
      { name: "b", ok: false, nested: { after: "skipped", instead: "ok" } },
    ]);
  }));

test("the steps of a block that was skipped or whose failure was ignored have a status", () =>
  withHarness(async (h) => {
    h.on = { x: fail("no") };
    const ran = await h.run(
      `
steps:
  - {id: off, when: "false", block: [{id: a, fake.look: {}}, {id: deep, block: [{id: b, fake.look: {}}]}]}
  - {id: on, ignore_error: true, block: [{id: x, fake.look: {}}, {id: y, fake.look: {}}]}
output: {a: steps.a.status, b: steps.b.status, x: steps.x.status, y: steps.y.status, none: steps.y.output == null}
`,
    );
    expect(ran.data).toMatchObject({
      a: "skipped",
      b: "skipped",
      x: "failed",
      y: "skipped",
      none: true,
    });
  }));

test("an output that can't be had is an error at its own line, in the runbook that was called", () =>
  withHarness(async (h) => {
    const sub =
      "summary: s\nrisk: change\nsteps: [{id: a, when: 'false', fake.look: {}}]\noutput:\n  fine: 1\n  bad: steps.a.output.n\n";
    h.write("sub/bad", sub);
    const ran = await h.run("steps: [{id: called, run: sub/bad}]\n");
    expect(ran.error).toMatchObject({ code: "expression_failed", where: { line: 6 } });
    expect(ran.error!.where!.file).toEndWith("sub/bad.yaml");
  }));

test("until on a block and on a call: each round does it again", () =>
  withHarness(async (h) => {
    h.write(
      "sub/state",
      "summary: S\nrisk: read\nsteps: [{id: look, fake.look: {}}]\noutput: {n: steps.look.output.n}\n",
    );
    h.on = { look: sequence({ n: 1 }, { n: 2 }, { n: 7 }, { n: 8 }) };
    const ran = await h.run(`
steps:
  - {id: called, run: sub/state, until: output.n == 2}
  - id: both
    until: steps.look.output.n == 8
    block: [{id: look, fake.look: {}}]
`);
    expect(ran.error).toBeNull();
    expect(h.calls).toEqual([
      "look called/look",
      "look called@2/look",
      "look look",
      "look both@2/look",
    ]);
  }));

test("ignore_error goes on, and the failure can be read", () =>
  withHarness(async (h) => {
    h.on = { a: fail("gone") };
    const ran = await h.run(
      "steps:\n  - {id: a, fake.look: {}, ignore_error: true}\n  - {id: b, when: \"steps.a.status == 'failed' && steps.a.error.message == 'gone'\", fake.act: {}}\n",
    );
    expect(ran).toMatchObject({ exit: 0, ended: ["a failed", "b ok"] });
    expect(ran.steps[0]!.error).toEqual({ code: "step_failed", message: "gone" });
  }));

test("unchanged() says that there was nothing to do; warnings reach the envelope", () =>
  withHarness(async (h) => {
    h.on = {
      a: (ctx) => {
        ctx.unchanged();
        ctx.warn("mind");
        ctx.log("said");
        return null;
      },
      b: fail(),
    };
    const ran = await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.look: {}}]\n");
    expect(ran.steps[0]!.changed).toBe(false);
    expect(ran.run.warnings).toEqual(["mind"]);
    expect(h.calls).toEqual(["act a", "look b"]);
    expect(
      h.events.flatMap((event) =>
        event.kind === "step.log" ? [[event.path, event.level, event.message]] : [],
      ),
    ).toEqual([
      ["a", "warn", "mind"],
      ["a", "info", "said"],
    ]);
    expect(ran.exit).toBe(1);
  }));

test("what of the output can be told is told although the run failed", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ n: 1 }), b: fail() };
    const ran = await h.run(
      "steps: [{id: a, fake.look: {}}, {id: b, fake.look: {}}, {id: c, fake.look: {}}]\noutput: {n: steps.a.output.n, c: steps.c.output.n, both: {n: steps.a.output.n}}\n",
    );
    expect(ran.envelope.data).toEqual({ n: 1, both: { n: 1 } });
    expect(ran.error).toMatchObject({ step: "b" });
  }));

test("200 steps are listed, the rest counted, and the journal has them all", () =>
  withHarness(async (h) => {
    const ran = await h.run(
      `steps: [{id: a, foreach: [${Array.from({ length: 204 }, () => 0).join(",")}], fake.look: {}}]\n`,
    );
    expect(ran.steps).toHaveLength(200);
    expect(ran.run["steps_not_listed"]).toBe(5);
    expect(h.journal.steps("run-1")).toHaveLength(204);
  }));

test("an output beyond the limit is a failure, not a full disk", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ text: "x".repeat(17 * 1024 * 1024) }) };
    expect((await h.run("steps: [{id: a, fake.look: {}}]")).error).toMatchObject({
      code: "limit_exceeded",
    });
  }));

test("resources are opened once per key and closed last in first out, past the failure of one", () =>
  withHarness(async (h) => {
    const open = (ctx: Parameters<(typeof h.on)[string]>[0], key: string) =>
      ctx.resource(key, async () => {
        h.calls.push(`open ${key}`);
        return {
          value: key,
          close: async () => {
            h.calls.push(`close ${key}`);
            if (key === "y") throw new Error("stuck");
          },
        };
      });
    h.on = {
      a: (ctx) => open(ctx, "x"),
      b: async (ctx) => [await open(ctx, "x"), await open(ctx, "y"), await open(ctx, "z")],
    };
    const ran = await h.run(
      "steps: [{id: a, fake.look: {}}, {id: b, fake.look: {}}]\noutput: {b: steps.b.output}\n",
      { target: { close: async () => void h.calls.push("close target") } },
    );
    expect(ran.data).toEqual({ b: ["x", "y", "z"] });
    expect(h.calls).toEqual([
      "look a",
      "open x",
      "look b",
      "open y",
      "open z",
      "close z",
      "close y",
      "close x",
      "close target",
    ]);
    expect(ran.run.warnings).toEqual(["Closing failed: stuck"]);
  }));

test("foreach in parallel: an item sees the steps of its own block, not another's", () =>
  withHarness(async (h) => {
    h.on = {
      inner: async (_, input) => {
        await Bun.sleep(input.n === 0 ? 10 : 1);
        return input.n;
      },
    };
    const ran = await h.run(
      `
steps:
  - id: each
    foreach: [0, 1]
    parallel: 2
    block:
      - {id: inner, fake.look: {n: "\${item}"}}
      - {id: pause, wait: {for: 20ms}}
      - assert: {that: steps.inner.output == item, message: of another item}
`,
      { clock: systemClock },
    );
    expect(ran.error).toBeNull();
  }));

test("a block has changed something when one of its steps has", () =>
  withHarness(async (h) => {
    const ran = await h.run(`
steps:
  - {id: quiet, block: [{id: a, fake.look: {}}]}
  - {id: loud, block: [{id: b, fake.look: {}}], always: [{id: c, fake.act: {}}]}
output: {quiet: steps.quiet.changed, loud: steps.loud.changed}
`);
    expect(ran.data).toEqual({ quiet: false, loud: true });
  }));

test("until refuses a change before it acts where only the run can tell; what twice is the same as once it repeats", () =>
  withHarness(async (h) => {
    h.write("sub/acts", "summary: S\nrisk: change\nsteps: [{id: a, fake.act: {}}]\n");
    h.write("sub/again", "summary: S\nrisk: change\nsteps: [{id: r, fake.again: {}}]\n");
    h.on = { look: (ctx) => ctx.call("sub/acts", {}), fine: (ctx) => ctx.call("sub/again", {}) };
    const fine = "{id: fine, fake.look: {}, until: attempt == 2}";
    const names = "{id: n, when: 'run.id == null', block: [{run: sub/acts}, {run: sub/again}]}";
    const refused = await h.run(
      `steps: [${fine}, {id: g, until: "true", block: [{id: look, fake.look: {}}]}, ${names}]`,
    );
    expect(refused.error).toMatchObject({ code: "step_refused", step: "look/a" });
    expect(h.calls.filter((call) => call.startsWith("act"))).toEqual([
      "act fine/r",
      "act fine@2/r",
    ]);
    const plan = await h.run(`steps: [{id: look, until: "true", fake.look: {}}, ${names}]`, {
      plan: true,
    });
    expect(plan.error).toMatchObject({ code: "step_refused", step: "look/a" });
    // The undo of what is repeated is done once.
    h.calls.length = 0;
    h.on["end"] = fail();
    await h.run(
      "steps: [{id: one, fake.again: {}, until: attempt == 2, undo: [{id: u, fake.act: {}}]}, {id: end, fake.look: {}}]",
    );
    expect(h.calls).toEqual(["act one", "act one", "look end", "act one~undo/u"]);
  }));
