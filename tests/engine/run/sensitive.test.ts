import { afterEach, beforeEach, expect, test } from "bun:test";
import { fail, Harness } from "./harness.ts";

let h: Harness;
beforeEach(() => {
  h = new Harness();
  // Too short and too ordinary to be looked for in texts: only where it goes tells that it is sensitive.
  h.on = { issued: () => ({ pin: "x7", n: 7, ok: true, none: null, list: ["a"] }) };
});
afterEach(() => h.close());

const ISSUED = "  - {id: issued, sensitive: true, fake.look: {}}\n";

/** Everything that is left of the run but what the test looks at itself. */
function artifacts(): string {
  const rows = [
    h.journal.db.query("SELECT status, output, error FROM run").all(),
    h.journal.db.query("SELECT path, input, undo, result FROM step").all(),
  ];
  return JSON.stringify([rows, h.events]);
}

test("what is made of a sensitive output is told without its values, whatever their types; keys stay", async () => {
  const ran = await h.run(`steps:
${ISSUED}output:
  all: steps.issued.output
  pin: steps.issued.output.pin
  n: steps.issued.output.n + 1
  deep: {ok: steps.issued.output.ok, plain: "'kept'"}
  status: steps.issued.status
  changed: steps.issued.changed
`);
  expect(ran.data).toEqual({
    all: { pin: "********", n: "********", ok: "********", none: null, list: ["********"] },
    pin: "********",
    n: "********",
    deep: { ok: "********", plain: "kept" },
    status: "ok",
    changed: false,
  });
  expect(artifacts()).not.toContain("x7");
});

test("a step that reads it is sensitive itself, and so on, by whichever way it comes", async () => {
  h.write(
    "demo/inner",
    'summary: s\nrisk: read\nparams: {pin: {type: string}, other: {type: string}}\nsteps:\n  - {id: one, fake.look: {got: "${params.pin}"}}\n  - {id: two, fake.look: {got: "${params.other}"}}\noutput: {back: steps.one.output.got, other: steps.two.output.got}\n',
  );
  const echo = (_ctx: unknown, input: { got?: string }) => ({ got: input.got ?? null });
  for (const id of ["text", "whole", "one", "two", "each", "last", "in_block", "free"])
    h.on[id] = echo as never;
  const ran = await h.run(`steps:
${ISSUED}  - {id: text, fake.look: {got: "it is {{steps.issued.output.pin}}"}}
  - {id: whole, fake.look: {got: "\${steps.text.output.got}"}}
  - {id: named, set: {copy: steps.whole.output.got, one: "1"}}
  - {id: called, run: {runbook: demo/inner, params: {pin: "\${steps.named.output.copy}", other: seen}}}
  - {id: each, foreach: "[steps.issued.output.pin, 'b']", fake.look: {got: "\${item}"}}
  - id: grouped
    block: [{id: in_block, fake.look: {got: "\${steps.called.output.back}"}}]
    output: {got: steps.in_block.output.got}
  - {id: last, fake.look: {got: "\${steps.grouped.output.got}"}}
  - {id: free, fake.look: {got: seen}}
  - {id: asked, when: steps.issued.output.n == 7, set: {a: "'seen'"}}
output:
  last: steps.last.output.got
  each: steps.each.output
  free: steps.free.output.got
  asked: steps.asked.output.a
`);
  expect(ran.error).toBeNull();
  expect(ran.data).toEqual({
    last: "********",
    each: [{ got: "********" }, { got: "********" }],
    free: "seen",
    asked: "seen",
  });
  expect(artifacts()).not.toContain("x7");
  const kept = h.journal.steps("run-1").filter(({ result }) => result?.output !== null);
  expect(kept.map(({ path }) => path)).toEqual(["called/two", "free", "asked"]);
});

test("a step or a block whose author says so is not sensitive, and a sensitive block hides what is in it", async () => {
  const ran = await h.run(`steps:
${ISSUED}  - {id: open, sensitive: false, set: {long: size(steps.issued.output.pin) > 1}}
  - id: hidden
    sensitive: true
    block:
      - {id: inside, set: {a: "'x9'"}}
      - {id: told, sensitive: false, set: {a: "'told'"}}
output: {open: steps.open.output.long, inside: steps.inside.output.a, told: steps.told.output.a}
`);
  expect(ran.data).toEqual({ open: true, inside: "********", told: "told" });
  expect(artifacts()).not.toContain("x9");
});

test("errors, conditions, previews, logs and undos of what reads it are withheld", async () => {
  const withheld = expect.stringContaining("withheld");
  for (const [step, code] of [
    ['fake.look: {got: "${steps.issued.output.pin}"}', "step_failed"],
    [
      "assert: {that: steps.issued.output.pin == 'y', message: \"it is {{steps.issued.output.pin}}\"}",
      "assertion_failed",
    ],
    ["set: {a: int(steps.issued.output.pin)}", "expression_failed"],
    ["when: int(steps.issued.output.pin) > 1\n    set: {a: 1}", "expression_failed"],
    ["foreach: steps.issued.output.pin\n    set: {a: 1}", "expression_failed"],
    ["until: int(steps.issued.output.pin) > 1\n    set: {a: 1}", "expression_failed"],
  ]) {
    h.on["bad"] = (_ctx, input: { got: string }) =>
      fail(`wrong: ${input.got}`)(null as never, null);
    const ran = await h.run(`steps:\n${ISSUED}  - id: bad\n    ${step}\n`);
    expect({ step, error: ran.error }).toMatchObject({
      error: { code: code!, message: withheld },
    } as never);
    expect(JSON.stringify(ran.envelope)).not.toContain("x7");
  }
  const output = await h.run(`steps:\n${ISSUED}output: {a: int(steps.issued.output.pin)}\n`);
  expect(output.error).toMatchObject({ code: "expression_failed", message: withheld });

  h.on["made"] = (ctx) => {
    ctx.log("made x7");
    ctx.warn("beware of x7");
    return { path: "made" };
  };
  h.on["made~undo"] = () => fail("can't take back x7")(null as never, null);
  h.on["end"] = fail("the end");
  const undone = await h.run(`steps:
${ISSUED}  - {id: made, fake.act: {got: "\${steps.issued.output.pin}"}}
  - {id: end, fake.keep: {}}
`);
  expect(undone.exit).toBe(6);
  expect(undone.run.warnings).toEqual(["A warning of made is withheld, for it is sensitive"]);
  expect(undone.run["undo"]).toMatchObject({
    failed: [{ path: "made", error: { message: withheld } }],
  });

  const planned = await h.run(
    `steps:\n${ISSUED}  - {id: shown, fake.shown: {got: "\${steps.issued.output.pin}"}}\n`,
    { plan: true },
  );
  expect(planned.steps.at(-1)).toMatchObject({ status: "previewed" });
  expect(planned.steps.at(-1)).not.toHaveProperty("preview");
  expect(artifacts()).not.toContain("x7");
});

test("the inputs of undo steps that read it are not on record, and they are sensitive when they run", async () => {
  h.on["back"] = (_ctx, input: { got: string }) => ({ got: input.got });
  h.on["end"] = fail("the end");
  const ran = await h.run(`steps:
${ISSUED}  - {id: made, fake.keep: {}, undo: [{id: back, fake.keep: {got: "\${steps.issued.output.pin}"}}]}
  - {id: end, fake.keep: {}}
`);
  expect(ran.exit).toBe(5);
  expect(h.calls).toContain("act made~undo/back");
  expect(artifacts()).not.toContain("x7");
});

test("a resumed run knows what is sensitive", async () => {
  const text = `steps:
${ISSUED}  - {id: copied, set: {a: steps.issued.output.pin}}
  - {id: made, fake.again: {}}
output: {a: steps.copied.output.a}
`;
  await h.killedIn(text, "made");
  const ran = await h.resume(text);
  expect(ran.exit).toBe(0);
  expect(ran.data).toEqual({ a: "********" });
  expect(artifacts()).not.toContain("x7");
});
