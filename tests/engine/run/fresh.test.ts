import { expect, test } from "bun:test";
import { fail, type Harness, sequence, withHarness } from "./harness.ts";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));
const looks = (h: Harness) => h.calls.filter((call) => call.startsWith("look"));

const LAG = `steps:
  - {id: lag, fake.look: {}, fresh: true}
  - {id: other, fake.look: {}}
  - {id: sure, assert: {that: steps.lag.output.bytes < 100, message: too far behind}, fresh: true}
  - {id: a, fake.act: {bytes: "\${steps.lag.output.bytes}"}}
  - {id: b, fake.probed: {bytes: "\${steps.lag.output.bytes}"}}
  - {id: c, fake.act: {bytes: "\${steps.lag.output.bytes}"}}
`;

/** The inputs that steps are given, by id. */
function inputs(h: Harness, ...ids: string[]): Record<string, unknown> {
  const seen: Record<string, unknown> = {};
  for (const id of ids)
    h.on[id] = (_ctx, input) => {
      seen[id] = input;
      return null;
    };
  return seen;
}

test("a resumed run asks a fresh read again before it goes on, tells what differs, and leaves alone what was done", () =>
  withHarness(async (h) => {
    h.on = { lag: () => ({ bytes: 5, of: "pg2" }) };
    await h.killedIn(LAG, "b");
    h.on = { lag: () => ({ bytes: 7, of: "pg2" }), "b~probe": () => "done" };
    const seen = inputs(h, "c");
    const ran = await h.resume(LAG);
    expect(ran).toMatchObject({ exit: 0 });
    expect(looks(h)).toEqual(["look lag"]);
    expect(acts(h)).toEqual(["probe b", "act c"]);
    expect(seen).toEqual({ c: { bytes: 7 } });
    expect(ran.run.warnings).toEqual([
      "lag was asked again before the run went on, and gives something else: bytes was 5, is 7",
    ]);
    // Once, and in its own place.
    expect(ran.ended).toEqual(["other ok", "a ok", "b ok", "lag ok", "sure ok", "c ok"]);
  }));

test("an assertion that is fresh stops a resumed run by what holds now, and what was done is taken back", () =>
  withHarness(async (h) => {
    h.on = { lag: () => ({ bytes: 5 }) };
    await h.killedIn(LAG, "b");
    h.on = { lag: () => ({ bytes: 500 }), "b~probe": () => "done" };
    const ran = await h.resume(LAG);
    expect(ran).toMatchObject({ exit: 5, error: { code: "assertion_failed", step: "sure" } });
    expect(acts(h)).toEqual(["probe b", "undo a"]);
  }));

test("a change that was begun and did not happen is begun by what holds now", () =>
  withHarness(async (h) => {
    h.on = { lag: () => ({ bytes: 5 }) };
    await h.killedIn(LAG, "b");
    h.on = { lag: () => ({ bytes: 7 }), "b~probe": () => "not_done" };
    const seen = inputs(h, "b", "c");
    expect((await h.resume(LAG)).exit).toBe(0);
    expect(seen).toEqual({ b: { bytes: 7 }, c: { bytes: 7 } });
    expect(acts(h)).toEqual(["probe b", "act b", "act c"]);
  }));

test("nothing is asked again when nothing is new, nor by a run that is taken back", () =>
  withHarness(async (h) => {
    const text = `${LAG}  - {id: boom, fake.look: {}}\n`;
    h.on = { lag: () => ({ bytes: 5 }), boom: fail() };
    await h.killedIn(text, "c~undo");
    h.on = { lag: fail("must not be asked"), boom: fail() };
    const ran = await h.resume(text);
    expect(ran.exit).toBe(5);
    expect(looks(h)).toEqual([]);
  }));

test("a fresh loop and a fresh call are asked again as a whole; what ended with its item is not", () =>
  withHarness(async (h) => {
    h.write(
      "sub/two",
      "summary: S\nrisk: read\nsteps: [{id: x, fake.look: {}}, {id: y, fake.look: {}, fresh: true}]\noutput: {x: steps.x.output.n}\n",
    );
    const text = `steps:
  - {id: each, foreach: [1, 2], fake.look: {}, fresh: true}
  - {id: sub, run: sub/two, fresh: true}
  - id: items
    foreach: [1, 2]
    block: [{id: z, fake.look: {}, fresh: true}]
  - {id: a, fake.again: {n: "\${steps.each.output.map(o, o.n)}", x: "\${steps.sub.output.x}"}}
  - {id: b, fake.act: {n: "\${steps.each.output.map(o, o.n)}", x: "\${steps.sub.output.x}"}}
`;
    h.on = { each: sequence({ n: 1 }, { n: 2 }), x: () => ({ n: 3 }) };
    await h.killedIn(text, "a");
    h.on = { each: sequence({ n: 10 }, { n: 20 }), x: () => ({ n: 30 }) };
    const seen = inputs(h, "a", "b");
    const ran = await h.resume(text);
    expect(ran).toMatchObject({ exit: 0 });
    expect(looks(h)).toEqual(["look each/0", "look each/1", "look sub/x", "look sub/y"]);
    // It may have happened in part with what it was given then, so that it is repeated with that.
    expect(seen).toEqual({ a: { n: [1, 2], x: 3 }, b: { n: [10, 20], x: 30 } });
    expect(ran.run.warnings).toEqual([
      "each was asked again before the run went on, and gives something else: 0.n was 1, is 10; 1.n was 2, is 20",
      "sub was asked again before the run went on, and gives something else: x was 3, is 30",
    ]);
  }));

test("of a sensitive read it is told that it differs, and not how", () =>
  withHarness(async (h) => {
    const text = `steps:
  - {id: s, fake.look: {}, sensitive: true, fresh: true}
  - {id: a, fake.again: {}}
`;
    h.on = { s: () => ({ name: "first private" }) };
    await h.killedIn(text, "a");
    h.on = { s: () => ({ name: "second private" }) };
    const ran = await h.resume(text);
    expect(ran.exit).toBe(0);
    expect(JSON.stringify(ran.envelope)).not.toContain("private");
  }));

test("items of a parallel loop wait until it was asked again", () =>
  withHarness(async (h) => {
    const text = `steps:
  - {id: lag, fake.look: {}, fresh: true}
  - {id: a, fake.again: {}}
  - {id: each, foreach: [0, 1, 2], parallel: 3, fake.act: {bytes: "\${steps.lag.output.bytes}"}}
`;
    h.on = { lag: () => ({ bytes: 5 }) };
    await h.killedIn(text, "each");
    h.journal.db.run(
      "UPDATE step SET happened = 'no', status = 'retrying' WHERE path LIKE 'each/%'",
    );
    const seen: number[] = [];
    h.on = {
      lag: async () => {
        await Bun.sleep(20);
        return { bytes: 7 };
      },
      each: (_ctx, input) => {
        seen.push(input.bytes);
        return null;
      },
    };
    expect((await h.resume(text)).exit).toBe(0);
    expect(seen).toEqual([7, 7, 7]);
  }));
