import { expect, test } from "bun:test";
import { Stop } from "../../../engine/run/stop.ts";
import { type Behaviour, codeOf, fail, failing, type Harness, sequence, withHarness } from "./harness.ts";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));

/** Waits for its signal, as a good step does. */
const untilAborted: Behaviour = (ctx) =>
  new Promise((_, reject) => ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason), { once: true }));

test("rescue takes a failure, sees it as `error`, and the run goes on as recovered", () =>
  withHarness(async (h) => {
    h.on = { b: fail("broken"), r: (_, input) => input };
    const ran = await h.run(`
steps:
  - id: guarded
    block: [{id: a, fake.act: {}}, {id: b, fake.act: {}}, {id: c, fake.act: {}}]
    rescue: [{id: r, fake.look: {why: "{{error.code}} {{error.step}} {{error.message}}"}}]
  - {id: after, when: steps.guarded.status == 'recovered', fake.act: {}}
output: {why: steps.r.output.why}
`);
    expect(ran).toMatchObject({ exit: 0, status: "ok", data: { why: "step_failed b broken" } });
    expect(ran.ended).toEqual(["a ok", "b failed", "r ok", "guarded recovered", "after ok"]);
    expect(acts(h)).toEqual(["act a", "act b", "act after"]);
  }));

test("a step of a recovered block is taken back when the run fails later, and `error` ends with the rescue", () =>
  withHarness(async (h) => {
    h.on = { b: fail("first"), c: fail("second") };
    const ran = await h.run("steps:\n  - {id: g, block: [{id: a, fake.act: {}}, {id: b, fake.look: {}}], rescue: [{id: r, fake.act: {}}]}\n  - {id: c, fake.look: {}}\n");
    expect(ran.error).toMatchObject({ message: "second" });
    expect(acts(h)).toEqual(["act a", "act r", "undo r", "undo a"]);
    await expect(h.run("steps:\n  - {id: g, block: [{fake.look: {}}], rescue: [{fake.look: {}}]}\n  - {fake.look: {e: \"{{error.code}}\"}}\n")).rejects.toThrow(/error/);
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
    expect(h.calls).toEqual(["act a", "look boom", "look r1", "act close1", "look r2", "act close2", "act after"]);
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
    expect(h.calls).toEqual(["act a", "act b", "act boom", "undo boom unfinished", "undo b", "undo a", "act close1", "act close2"]);
    expect(ran).toMatchObject({ exit: 5, status: "undone", error: { message: "boom", step: "boom" }, run: { undo: { undone: 3, failed: [] } } });
  }));

test("always runs when the failure is ignored or retried, not later or never", () =>
  withHarness(async (h) => {
    h.write("sub/fails", "summary: S\nrisk: change\nsteps: [{id: g, block: [{id: boom, fake.look: {}}], always: [{id: close, fake.keep: {}}]}]\n");
    h.on = { boom: fail("boom"), flaky: failing(1) };
    const ran = await h.run(`
steps:
  - {id: ignored, ignore_error: true, block: [{id: b1, block: [{id: boom, fake.look: {}}], always: [{id: c1, fake.keep: {}}]}], always: [{id: c2, fake.keep: {}}]}
  - {id: called, ignore_error: true, run: sub/fails}
  - {id: tried, retry: {attempts: 2}, block: [{id: flaky, fake.look: {}}], always: [{id: c3, fake.keep: {}}]}
  - {id: polled, until: "true", block: [{id: again, block: [{id: x, fake.look: {}}], always: [{id: c4, fake.keep: {}}]}]}
`);
    expect(ran.exit).toBe(0);
    expect(acts(h)).toEqual(["act c1", "act c2", "act called/close", "act c3", "act tried@2/c3", "act c4"]);
  }));

test("always of parallel items: one item's rescue does not run another's", () =>
  withHarness(async (h) => {
    h.on = { boom: async (_, input) => { await Bun.sleep(input.n * 4); throw new Error(`${input.n}`); } };
    const ran = await h.run(`
steps:
  - id: each
    foreach: [0, 1, 2]
    parallel: 3
    block: [{id: in, block: [{id: boom, fake.look: {n: "\${item}"}}], always: [{id: close, fake.keep: {}}]}]
    rescue: [{id: r, fake.keep: {}}]
`);
    expect(ran.exit).toBe(0);
    expect(acts(h)).toEqual([0, 1, 2].flatMap((n) => [`act each/${n}/close`, `act each/${n}/r`]));
  }));

test("an always that fails: after a success it fails the run, after a failure the first error stands and a person must look", () =>
  withHarness(async (h) => {
    h.on = { close: fail("can't close") };
    const good = await h.run("steps: [{id: g, block: [{id: a, fake.act: {}}], always: [{id: close, fake.keep: {}}]}]");
    expect(good).toMatchObject({ exit: 5, error: { message: "can't close" } });
    h.on["a"] = fail("first");
    const bad = await h.run("steps: [{id: g, block: [{id: a, fake.act: {}}], always: [{id: close, fake.keep: {}}]}]");
    expect(bad).toMatchObject({ exit: 6, status: "needs_operator", error: { message: "first" }, run: { undo: { failed: [{ path: "g" }] } } });
    const rescued = await h.run("steps: [{id: o, block: [{id: g, block: [{id: a, fake.act: {}}], always: [{id: close, fake.keep: {}}]}], rescue: [{id: r, fake.keep: {}}]}]");
    expect(rescued).toMatchObject({ exit: 5, error: { message: "first" }, run: { warnings: ["always of g: can't close"] } });
    expect(acts(h)).not.toContain("act r");
  }));

test("undo: last in first out, of all that started, in loops and called runbooks; `undo: false` and what changed nothing are left", () =>
  withHarness(async (h) => {
    h.write("sub/one", "summary: S\nrisk: change\nparams: {n: {type: integer, default: 1}}\nsteps: [{id: inner, fake.act: {}}]\n");
    h.on = { same: (ctx) => { ctx.unchanged(); return null; }, boom: fail() };
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
    expect(acts(h).filter((call) => call.startsWith("undo"))).toEqual(["undo boom unfinished", "undo called/1/inner", "undo called/0/inner", "undo each/1", "undo each/0", "undo a"]);
    const undone = h.journal.steps("run-1").filter((row) => row.phase === "undo");
    expect(undone.map(({ path, status }) => `${path} ${status}`)[0]).toBe("boom~undo ok");
    expect(undone).toHaveLength(6);
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
    expect(onDisk).toMatchObject({ status: "open", undo: [{ "fake.keep": { to: "before", at: "before!" } }, {}, null] });
    expect(acts(h)).toEqual(["act a", "act a~undo/back", "act a~undo/each/0", "act a~undo/each/1", "act a~undo/group/0/deep"]);
    expect(h.journal.steps("run-1").find((row) => row.path === "a~undo/back")!.result!.output).toEqual({ to: "before", at: "before!" });
    expect(ran).toMatchObject({ exit: 5, run: { undo: { undone: 1 } } });
  }));

test("each try of a block is taken back with what it knew, not with what a later try found", () =>
  withHarness(async (h) => {
    h.on = { state: sequence({ name: "one" }, { name: "two" }), flaky: failing(1), back: (_, input) => void h.calls.push(`back to ${input.to}`) as never, boom: fail() };
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
    expect(h.calls.filter((call) => call.startsWith("back"))).toEqual(["back to two", "back to one"]);
  }));

test("what can't be rendered for the undo stops the step before it acts", () =>
  withHarness(async (h) => {
    h.on = { look: () => ({}) };
    const ran = await h.run("steps:\n  - {id: look, fake.look: {}}\n  - {id: a, fake.act: {}, undo: [{fake.keep: {to: \"{{steps.look.output.name}}\"}}]}\n");
    expect(ran).toMatchObject({ exit: 1, error: { code: "expression_failed", step: "a" } });
    expect(acts(h)).toEqual([]);
  }));

test("a failing undo does not stop the others; the first error is the one told, and a person must look", () =>
  withHarness(async (h) => {
    h.on = { "b~undo": fail("can't undo"), boom: fail("first") };
    const ran = await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}, {id: c, fake.act: {}}, {id: boom, fake.look: {}}]");
    expect(acts(h)).toEqual(["act a", "act b", "act c", "undo c", "undo b", "undo a"]);
    expect(ran).toMatchObject({ exit: 6, status: "needs_operator", error: { message: "first" }, run: { undo: { undone: 2, failed: [{ path: "b", error: { message: "can't undo" } }] } } });
  }));

test("a step that was tried again is taken back once, even when its last try found nothing to do", () =>
  withHarness(async (h) => {
    let tries = 0;
    h.on = { a: (ctx) => { if (++tries === 1) return failing(1)(ctx, {}); ctx.unchanged(); return null; }, boom: fail() };
    await h.run("steps: [{id: a, fake.act: {}, retry: {attempts: 2}}, {id: boom, fake.look: {}}]");
    expect(acts(h)).toEqual(["act a", "act a", "undo a"]);
  }));

test("timeout: the attempt ends with its signal, is retryable, and nothing of it goes on", () =>
  withHarness(async (h) => {
    h.on = { a: untilAborted };
    const ran = await h.run("steps: [{id: a, fake.act: {}, timeout: 15ms, retry: {attempts: 2, backoff: 1ms}}]");
    expect(ran.error).toMatchObject({ code: "timeout", step: "a", retryable: true });
    expect(acts(h)).toEqual(["act a", "act a", "undo a unfinished"]);
  }));

test("timeout of a block: neither retries nor polls nor later steps in it go on, and its always runs", () =>
  withHarness(async (h) => {
    for (const inner of ["{id: a, fake.look: {}, retry: {attempts: 9, backoff: 60s}}", "{id: a, fake.look: {}, until: \"false\", every: 60s, timeout: 1h}"]) {
      h.calls.length = 0;
      h.on = { a: inner.includes("retry") ? failing(9) : () => null, r: (_, input) => input };
      const started = performance.now();
      const ran = await h.run(
        `steps:\n  - id: g\n    timeout: 25ms\n    block: [{id: in, block: [${inner}, {id: b, fake.act: {}}], always: [{id: close, fake.keep: {}}]}]\n    rescue: [{id: r, fake.look: {why: "{{error.code}}"}}]\noutput: {why: steps.r.output.why}\n`,
        { clock: (await import("../../../engine/clock.ts")).systemClock },
      );
      expect(performance.now() - started).toBeLessThan(2_000);
      expect(ran.data).toEqual({ why: "timeout" });
      expect(h.calls).toEqual(["look a", "act close", "look r"]);
    }
  }));

test("timeout of a call: what it called has ended before anything is taken back", () =>
  withHarness(async (h) => {
    h.write("sub/slow", "summary: S\nrisk: change\nsteps: [{id: slow, fake.act: {}}, {id: later, fake.act: {}}]\n");
    let ended = false;
    h.on = {
      slow: async (ctx) => {
        await new Promise<void>((resolve) => ctx.signal.addEventListener("abort", () => resolve(), { once: true }));
        await Bun.sleep(20);
        ended = true;
        h.calls.push("end slow");
        throw ctx.signal.reason;
      },
    };
    const ran = await h.run("steps: [{id: called, run: sub/slow, timeout: 20ms}]");
    expect(ended).toBe(true);
    expect(ran.error).toMatchObject({ code: "timeout", message: "called did not end within 20ms" });
    expect(acts(h)).toEqual(["act called/slow", "end slow", "undo called/slow unfinished"]);
  }));

test("a first signal: a change runs to its end, nothing new starts, and the run unwinds", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = { b: async () => { stop.request("SIGINT"); await Bun.sleep(5); return { done: true }; } };
    const ran = await h.run("steps:\n  - {id: a, fake.act: {}}\n  - {id: g, block: [{id: b, fake.act: {}}, {id: c, fake.act: {}}], rescue: [{id: r, fake.act: {}}], always: [{id: close, fake.keep: {}}]}\n", { stop });
    expect(acts(h)).toEqual(["act a", "act b", "undo b", "undo a", "act close"]);
    expect(ran).toMatchObject({ exit: 130, status: "interrupted", error: { code: "interrupted" } });
    expect(ran.ended).toEqual(["a ok", "b ok", "g cancelled", "close ok"]);
    expect(h.journal.run("run-1")!.cancelled).toBe("SIGINT");
  }));

test("a first signal that can't be put on record does not end the process", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = { a: () => { h.journal.db.exec("PRAGMA query_only = ON"); stop.request("SIGINT"); return null; } };
    const ran = await h.run("steps: [{id: a, fake.act: {}}]", { stop });
    expect(ran).toMatchObject({ exit: 6, error: { code: "journal_failed" } });
    expect(ran.run.warnings[0]).toContain("journal");
  }));

test("a first signal during a call with a long change: the change ends before the undo begins", () =>
  withHarness(async (h) => {
    h.write("sub/long", "summary: S\nrisk: change\nsteps: [{id: long, fake.act: {}}]\n");
    const stop = new Stop();
    h.on = { long: async () => { stop.request("SIGTERM"); await Bun.sleep(20); h.calls.push("end long"); return null; } };
    const ran = await h.run("steps: [{id: called, run: sub/long}, {id: b, fake.act: {}}]", { stop });
    expect(acts(h)).toEqual(["act called/long", "end long", "undo called/long"]);
    expect(ran.exit).toBe(130);
  }));

test("a first signal after the block, before its always: always runs, after the undo", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = { a: () => { stop.request("SIGINT"); return null; } };
    await h.run("steps: [{id: g, block: [{id: a, fake.act: {}}], always: [{id: close, fake.keep: {}}]}]", { stop });
    expect(acts(h)).toEqual(["act a", "undo a", "act close"]);
  }));

test("a second signal ends everything at once: the step is unknown, nothing is taken back", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = { b: (ctx) => { const waiting = untilAborted(ctx, {}); stop.request("SIGINT"); stop.request("SIGINT"); return waiting; } };
    const ran = await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}]", { stop });
    expect(acts(h)).toEqual(["act a", "act b"]);
    expect(ran).toMatchObject({ exit: 130, ended: ["a ok", "b unknown"] });
    expect(h.journal.steps("run-1").map(({ path, status }) => `${path} ${status}`)).toEqual(["a ok", "b unknown"]);
  }));

test("a stopped run that is resumed gathers what it did and takes it back, and does nothing new", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.write("sub/one", "summary: S\nrisk: change\nsteps: [{id: inner, fake.act: {}}]\n");
    h.on = { b: (ctx) => { const waiting = untilAborted(ctx, {}); stop.request("SIGINT"); stop.request("SIGINT"); return waiting; } };
    const text = "steps: [{id: a, fake.act: {}}, {id: called, run: sub/one}, {id: each, foreach: [1], fake.act: {}}, {id: b, fake.again: {}}, {id: c, fake.act: {}}]";
    await h.run(text, { stop });
    expect(acts(h)).toEqual(["act a", "act called/inner", "act each/0", "act b"]);
    h.calls.length = 0;
    const ran = await h.run(text, { resume: {} });
    expect(acts(h)).toEqual(["undo each/0", "undo called/inner", "undo a"]);
    expect(ran).toMatchObject({ exit: 130, status: "interrupted" });
  }));

test("a resumed run goes on with the attempt it was at", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = { a: failing(1), b: (ctx) => { const waiting = untilAborted(ctx, {}); stop.request("x"); stop.request("x"); return waiting; } };
    const text = "steps: [{id: g, retry: {attempts: 2}, block: [{id: a, fake.keep: {}}, {id: b, fake.again: {}}]}]\n";
    await h.run(text, { stop });
    h.journal.db.run("UPDATE run SET cancelled = NULL");
    h.on = {};
    h.calls.length = 0;
    h.clock.slept.length = 0;
    const ran = await h.run(text, { resume: {} });
    expect(ran.exit).toBe(0);
    expect(h.calls).toEqual(["act g@2/b"]);
    expect(h.clock.slept).toEqual([]);
  }));

test("a resumed step that nothing can tell about needs an operator, whose word is taken", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    const hang: Behaviour = (ctx) => { const waiting = untilAborted(ctx, {}); stop.request("x"); stop.request("x"); return waiting; };
    h.on = { a: hang };
    const text = "steps: [{id: a, fake.probed: {}}, {id: b, fake.keep: {}}]";
    await h.run(text, { stop });
    h.journal.db.run("UPDATE run SET cancelled = NULL");
    h.on = {};
    const asked = await h.run(text, { resume: {} });
    expect(asked).toMatchObject({ exit: 6, status: "needs_operator", error: { code: "needs_operator", step: "a" } });
    expect(asked.error!.message).toContain("no trace of it");
    h.calls.length = 0;
    expect((await h.run(text, { resume: { assumed: { a: "done" } } })).exit).toBe(0);
    expect(h.calls).toEqual(["act b"]);
  }));

test("a resumed run says which output it would need again and could not keep", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.secrets.add("hunter2-secret");
    h.on = {
      a: () => ({ token: "hunter2-secret" }),
      b: (ctx) => { const waiting = untilAborted(ctx, {}); stop.request("x"); stop.request("x"); return waiting; },
    };
    const text = "steps:\n  - {id: a, fake.keep: {}}\n  - {id: b, fake.again: {}}\n  - {id: c, fake.keep: {t: \"${steps.a.output.token}\"}}\n";
    await h.run(text, { stop });
    h.journal.db.run("UPDATE run SET cancelled = NULL");
    h.on = {};
    const ran = await h.run(text, { resume: {} });
    expect(ran.error).toMatchObject({ code: "step_failed", step: "c", message: "steps.a.output is needed again, and was not kept, for it held a secret" });
    expect(acts(h)).toEqual(["act a", "act b", "act b"]);
  }));

test("called runbooks: parameters are checked, outputs come back, what is missing is a usage error of the step", () =>
  withHarness(async (h) => {
    h.write("sub/add", "summary: S\nrisk: read\nparams: {n: {type: integer, required: true}, by: {type: integer, default: 10}}\nsteps: [{id: sum, set: {n: params.n + params.by}}]\noutput: {n: steps.sum.output.n}\n");
    h.on = { a: () => ({ n: 5, text: "x" }) };
    const ran = await h.run("steps:\n  - {id: a, fake.look: {}}\n  - {id: s, run: {runbook: sub/add, params: {n: \"${steps.a.output.n}\"}}}\noutput: {n: steps.s.output.n}\n");
    expect(ran).toMatchObject({ data: { n: 15 }, ended: ["a ok", "s/sum ok", "s ok"] });
    const bad = await h.run("steps:\n  - {id: a, fake.look: {}}\n  - {id: s, run: {runbook: sub/add, params: {n: \"${steps.a.output.text}\"}}}\n");
    expect(bad.error).toMatchObject({ code: "invalid_param", step: "s" });
  }));

test("called runbooks: calling oneself is bounded", () =>
  withHarness(async (h) => {
    const ran = await h.run("steps: [{id: a, fake.look: {}}, {id: again, run: demo/one}]");
    expect(ran.error).toMatchObject({ code: "limit_exceeded" });
    expect(h.calls.length).toBe(9);
  }));

test("a secret is handed on to what is called, and masked everywhere", () =>
  withHarness(async (h) => {
    h.write("sub/login", "summary: S\nrisk: change\nparams: {password: {type: string, secret: true, required: true}}\nsteps: [{id: login, fake.act: {password: \"${params.password}\"}}]\noutput: {echo: steps.login.output.echo}\n");
    h.secrets.add("hunter2-secret");
    let seen: unknown;
    h.on = { login: (ctx, input) => { seen = input.password; ctx.log(`with ${input.password}`); ctx.warn(`warned ${input.password}`); return { echo: `it is ${input.password}` }; } };
    const ran = await h.run("params: {password: {type: string, secret: true}}\nsteps: [{id: s, run: {runbook: sub/login, params: {password: \"${params.password}\"}}}]\noutput: {echo: steps.s.output.echo}\n", { params: { password: "hunter2-secret" } });
    expect(seen).toBe("hunter2-secret");
    expect(ran.data).toEqual({ echo: "it is ********" });
    const everything = JSON.stringify([ran.envelope, h.events, h.journal.db.query("SELECT * FROM step").all(), h.journal.db.query("SELECT * FROM run").all()]);
    expect(everything).not.toContain("hunter2-secret");
    expect(everything).toContain("with ********");
  }));

test("sensitive: the output reaches later steps, and no artifact; a plan does not show it either", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ token: "tok-12345678" }), b: (_, input) => input };
    const ran = await h.run("steps:\n  - {id: a, sensitive: true, fake.act: {}}\n  - {id: b, fake.look: {t: \"${steps.a.output.token}\"}}\noutput: {t: steps.b.output.t}\n");
    expect(ran.data).toEqual({ t: "********" });
    const everything = JSON.stringify([ran.envelope, h.events, h.journal.db.query("SELECT * FROM step").all()]);
    expect(everything).not.toContain("tok-12345678");
    expect(h.journal.steps("run-1")[0]).toMatchObject({ masked: true, result: { output: null } });
    const plan = await h.run("steps: [{id: p, sensitive: true, fake.shown: {content: private text}}]", { plan: true });
    expect(JSON.stringify([plan.envelope, h.journal.db.query("SELECT * FROM step").all()])).not.toContain("private text");
  }));

test("a secret in argv is refused, and no rescue, retry or ignore_error takes that", () =>
  withHarness(async (h) => {
    h.secrets.add("argv-secret");
    h.on = { a: async (ctx) => (await ctx.spawn(["echo", "argv-secret"])).stdout };
    for (const more of ["ignore_error: true", "retry: {attempts: 3, on: \"true\"}"]) {
      const ran = await h.run(`steps: [{id: g, block: [{id: a, fake.act: {}, ${more}}], rescue: [{id: r, fake.keep: {}}]}]`);
      expect(ran.error).toMatchObject({ code: "secret_exposed", step: "a" });
    }
    expect(acts(h)).toEqual(["act a", "undo a unfinished", "act a", "undo a unfinished"]);
  }));

test("destructive: a verified backup is taken first, outlives a failure, and what does not say verified stops the run", () =>
  withHarness(async (h) => {
    const backup = (verified: string) => h.write("backup/create", `summary: B\nrisk: change\nsteps: [{id: copy, fake.act: {}}]\noutput: {verified: "${verified}"}\n`);
    const text = "summary: D\nrisk: destructive\nsteps: [{id: drop, fake.act: {}}]\n";
    const options = { flags: { confirm: "drill" } };
    expect(await codeOf(h.run(text, options))).toMatchObject({ code: "gate_refused", gate: "backup" });
    backup("true");
    h.on = { drop: fail() };
    const ran = await h.run(text, options);
    expect(ran.exit).toBe(5);
    expect(acts(h)).toEqual(["act backup_before/copy", "act drop", "undo drop unfinished"]);
    for (const word of ["false", "'true'"]) {
      backup(word);
      h.calls.length = 0;
      expect((await h.run(text, options)).error).toMatchObject({ code: "gate_refused", message: expect.stringContaining("not verified") });
      expect(acts(h)).toEqual(["act backup_before/copy"]);
    }
  }));

test("a refusal is told before anything is recorded or done, though closing fails too", () =>
  withHarness(async (h) => {
    const close = async () => { throw new Error("closing failed"); };
    expect(await codeOf(h.run("summary: D\nrisk: disruptive\nsteps: [{id: a, fake.act: {}}]", { target: { close } }))).toMatchObject({ code: "approval_needed" });
    expect(h.journal.runs(9)).toEqual([]);
    expect(h.calls).toEqual([]);
  }));
