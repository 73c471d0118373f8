import { expect, test } from "bun:test";
import { fail, withHarness } from "./harness.ts";

const plan = { plan: true };

test("reads run for real, changes are shown or said not to be, and nothing acts", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ n: 4 }) };
    const ran = await h.run(
      `
steps:
  - {id: a, fake.look: {}}
  - {id: shown, fake.shown: {n: "\${steps.a.output.n + 1}"}}
  - {id: blind, fake.act: {}, undo: [{fake.keep: {}}]}
  - id: g
    block: [{id: inner, fake.act: {}}]
    always: [{id: close, fake.shown: {}}]
`,
      plan,
    );
    expect(h.calls).toEqual(["look a", "plan shown", "plan close"]);
    expect(ran.ended).toEqual([
      "a ok",
      "shown previewed",
      "blind not_previewable",
      "inner not_previewable",
      "close previewed",
      "g not_previewable",
    ]);
    expect(ran.steps[1]).toMatchObject({ changed: false, preview: { would: { n: 5 } } });
    expect(ran).toMatchObject({
      exit: 0,
      status: "planned",
      envelope: { success: true },
      run: { plan: true, status: "planned" },
    });
    expect(h.journal.run("run-1")).toMatchObject({ status: "planned", plan: true });
    expect(h.journal.steps("run-1").every((row) => row.status !== "open")).toBe(true);
  }));

test("what touches the output of a step that did not run is undetermined: not false, not an error", () =>
  withHarness(async (h) => {
    h.on = { known: () => ({ yes: true }) };
    const ran = await h.run(
      `
steps:
  - {id: known, fake.look: {}}
  - {id: act, fake.act: {}}
  - {id: when, when: steps.act.output.ready, fake.look: {}}
  - {id: negated, when: "!steps.act.output.ready", fake.look: {}}
  - {id: chained, when: steps.when.output.x == 1, fake.look: {}}
  - {id: input, fake.look: {n: "\${steps.act.output.n}"}}
  - {id: text, fake.look: {n: "{{steps.act.output.n}}"}}
  - {id: asserted, assert: {that: steps.act.output.n == 1, message: no}}
  - {id: named, set: {n: steps.act.output.n}}
  - {id: loop, foreach: steps.act.output.list, fake.look: {}}
  - {id: of_loop, when: size(steps.loop.output) > 0, fake.look: {}}
  - {id: until, fake.look: {}, until: steps.act.output.n == 1}
  - {id: not_yet, fake.look: {}, until: output.path == 'later', timeout: 1h}
  - {id: settled, fake.shown: {}, until: output.leader == 'pg2'}
  - {id: no, when: steps.act.output.ready && !steps.known.output.yes, fake.look: {}}
  - {id: yes, when: steps.act.output.ready || steps.known.output.yes, fake.look: {}}
  - {id: status, when: steps.act.status == 'ok', fake.look: {}}
  - {id: changed, when: steps.settled.changed, fake.look: {}}
  - {id: failed, when: steps.act.error != null, fake.look: {}}
  - {id: each, foreach: [1], fake.shown: {}}
  - {id: b, block: [{id: in_b, fake.act: {}}]}
  - {id: of_b, when: steps.b.changed || steps.in_b.changed, fake.look: {}}
  - {id: of_each, when: steps.each.changed, fake.look: {}}
  - {id: maybe, when: steps.act.changed, block: [{id: in_maybe, fake.look: {}}], rescue: [{id: rescued, fake.look: {}}]}
  - {id: of_maybe, when: steps.in_maybe.status == 'ok', fake.look: {}}
  - {id: of_rescued, when: steps.rescued.status == 'skipped', fake.look: {}}
output: {known: steps.known.output.yes, unknown: steps.act.output.n, mixed: {a: steps.known.output.yes, b: steps.act.output.n}}
`,
      plan,
    );
    expect(ran.error).toBeNull();
    expect(ran.ended).toEqual([
      "known ok",
      "act not_previewable",
      "when undetermined",
      "negated undetermined",
      "chained undetermined",
      "input undetermined",
      "text undetermined",
      "asserted undetermined",
      "named undetermined",
      "loop undetermined",
      "of_loop undetermined",
      "until undetermined",
      "not_yet undetermined",
      "settled previewed",
      "no skipped",
      "yes ok",
      "status undetermined",
      "changed undetermined",
      "failed undetermined",
      "each/0 previewed",
      "each previewed",
      "in_b not_previewable",
      "b not_previewable",
      "of_b undetermined",
      "of_each undetermined",
      "maybe undetermined",
      "of_maybe undetermined",
      "of_rescued undetermined",
    ]);
    expect(h.calls).toEqual([
      "look known",
      "look until",
      "look not_yet",
      "plan settled",
      "look yes",
      "plan each/0",
    ]);
    expect(ran.data).toEqual({ known: true, mixed: { a: true } });
    expect(h.clock.slept).toEqual([]);
  }));

test("an output of which nothing is known is empty, not a failure", () =>
  withHarness(async (h) => {
    const ran = await h.run(
      "steps: [{id: a, fake.act: {}}]\noutput: {n: steps.a.output.n}\n",
      plan,
    );
    expect(ran).toMatchObject({ exit: 0, status: "planned", data: {} });
    expect(
      JSON.parse(
        h.journal.db.query<{ output: string }, []>("SELECT output FROM run").get()!.output,
      ),
    ).toEqual({});
  }));

test("a loop of changes: each item is shown, its output is unknown, and how many there are is known", () =>
  withHarness(async (h) => {
    const ran = await h.run(
      `
steps:
  - {id: each, foreach: [1, 2], fake.shown: {n: "\${item}"}}
  - {id: counted, when: size(steps.each.output) == 2, fake.look: {}}
  - {id: first, when: "steps.each.output[0].path == 'x'", fake.look: {}}
`,
      plan,
    );
    expect(ran.ended).toEqual([
      "each/0 previewed",
      "each/1 previewed",
      "each previewed",
      "counted ok",
      "first undetermined",
    ]);
  }));

test("a called runbook is planned too; of its output the caller knows what is known", () =>
  withHarness(async (h) => {
    h.write(
      "sub/one",
      "summary: S\nrisk: change\nsteps: [{id: look, fake.look: {}}, {id: act, fake.act: {}}]\noutput: {known: steps.look.output.path, unknown: steps.act.output.n}\n",
    );
    const ran = await h.run(
      `
steps:
  - {id: sub, run: sub/one}
  - {id: k, when: steps.sub.output.known == 'sub/look', fake.look: {}}
  - {id: u, when: steps.sub.output.unknown == 1, fake.look: {}}
`,
      plan,
    );
    expect(ran.ended).toEqual([
      "sub/look ok",
      "sub/act not_previewable",
      "sub ok",
      "k ok",
      "u undetermined",
    ]);
    expect(h.journal.steps("run-1").find((row) => row.path === "sub")!.result!.output).toEqual({
      known: "sub/look",
      unknown: null,
    });
  }));

test("a read that fails fails the plan, and its rescue is planned", () =>
  withHarness(async (h) => {
    h.on = { a: fail("unreachable") };
    expect(await h.run("steps: [{id: a, fake.look: {}}]", plan)).toMatchObject({
      exit: 1,
      error: { message: "unreachable" },
    });
    const rescued = await h.run(
      "steps: [{id: g, block: [{id: a, fake.look: {}}], rescue: [{id: r, fake.shown: {}}]}]",
      plan,
    );
    expect(rescued.ended).toEqual(["a failed", "r previewed", "g recovered"]);
  }));

test("a plan takes no lock, asks nothing and takes no backup", () =>
  withHarness(async (h) => {
    h.write(
      "backup/create",
      'summary: B\nrisk: change\ngives: [verified_backup]\nsteps: [{id: copy, fake.act: {}}]\noutput: {verified: "true"}\n',
    );
    const ran = await h.run(
      "summary: D\nrisk: destructive\nsteps: [{id: drop, fake.shown: {}}]",
      plan,
    );
    expect(ran).toMatchObject({ exit: 0, ended: ["drop previewed"] });
    expect(h.journal.db.query("SELECT * FROM lock").all()).toEqual([]);
  }));

test("a step is told when nothing but reads were asked for: of a plan, and with --read-only", () =>
  withHarness(async (h) => {
    const seen: boolean[] = [];
    h.on = { look: (ctx) => seen.push(ctx.run.readOnly) };
    const look = "summary: Looks\nrisk: read\nsteps: [{id: look, fake.look: {}}]\n";
    await h.run(look);
    await h.run(look, { flags: { readOnly: true } });
    await h.run(look, { plan: true });
    expect(seen).toEqual([false, true, true]);
  }));
