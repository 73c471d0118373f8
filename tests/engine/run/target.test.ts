import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Target, TargetFacts } from "../../../engine/types.ts";
import { codeOf, withHarness } from "./harness.ts";

const refused = new PgdbaError("connection_failed", "nothing listens there", {
  hint: "Start it.",
  retryable: true,
});
const noSuch = new PgdbaError("no_target", "There is no cluster named new", {
  hint: "Did you mean news?",
});

/** A target that begins as `state` and is up once a step has given it; `asked` counts how often it was reached. */
function changing(state: TargetFacts["state"], why: PgdbaError, asked = { times: 0 }) {
  let up = false;
  const facts = async (): Promise<TargetFacts> => {
    asked.times++;
    return up
      ? { state: "up", identity: "8", capabilities: ["postgres"], facts: {} }
      : { state, why, identity: null, capabilities: [], facts: {} };
  };
  const target: Partial<Target> = { facts, refresh: facts, absent: state === "absent" };
  return { target, asked, rise: () => void (up = true), fall: () => void (up = false) };
}

const READ = "summary: R\nrisk: read\n";

test("a run that needs nothing of its target and changes nothing does not reach it", () =>
  withHarness(async (h) => {
    const { target, asked } = changing("unreachable", refused);
    expect((await h.run(`${READ}steps: [{id: a, fake.look: {}}]`, { target })).exit).toBe(0);
    expect(asked.times).toBe(0);
    // Whoever asks for its state is told of it, and goes on.
    const ran = await h.run(
      `${READ}steps: [{id: a, when: "target.state == 'unreachable'", fake.look: {}}]\noutput: {state: target.state}`,
      { target },
    );
    expect([ran.exit, ran.data["state"], ran.ended]).toEqual([0, "unreachable", ["a ok"]]);
  }));

test("a run that needs a target which does not answer ends with the reason; one that changes something without it goes on", () =>
  withHarness(async (h) => {
    const { target } = changing("down", refused);
    expect(
      await codeOf(h.run(`${READ}steps: [{id: a, fake.needs: {}}]`, { target })),
    ).toMatchObject({ code: "connection_failed", message: "nothing listens there" });
    const failed = h.run(`${READ}steps: [{id: a, fake.needs: {}}]`, { target });
    expect(await failed.catch((error: PgdbaError) => error.data)).toEqual({ state: "down" });
    expect(h.calls).toEqual([]);
    const ran = await h.run("steps: [{id: a, fake.act: {}}]", { target });
    expect([ran.exit, h.calls]).toEqual([0, ["act a"]]);
  }));

test("what a step gives is asked for when a later step needs it, and told with its own reason when it did not come", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: make, fake.make: {}}, {id: ask, fake.needs: {}}]";
    for (const state of ["absent", "down", "partial"] as const) {
      h.calls.length = 0;
      const { target, rise } = changing(state, state === "absent" ? noSuch : refused);
      h.on = { make: () => (rise(), null) };
      const ran = await h.run(text, { target });
      expect([state, ran.exit, h.calls]).toEqual([state, 0, ["act make", "look ask"]]);
    }
    const { target } = changing("down", refused);
    h.on = {};
    h.calls.length = 0;
    const ran = await h.run(text, { target });
    expect(ran.error).toMatchObject({ code: "connection_failed", step: "ask" });
    expect(h.calls).toEqual(["act make"]);
  }));

test("what a step took away is missed by the next one that needs it", () =>
  withHarness(async (h) => {
    const { target, rise, fall } = changing("down", refused);
    rise();
    h.on = { take: () => (fall(), null) };
    const text =
      "steps: [{id: a, fake.needs: {}}, {id: take, fake.take: {}}, {id: b, fake.needs: {}}]";
    const ran = await h.run(text, { target });
    expect(ran.error).toMatchObject({ code: "connection_failed", step: "b" });
    expect(h.calls).toEqual(["look a", "act take"]);
  }));

test("in a plan, what needs what a previewed step would give is undetermined", () =>
  withHarness(async (h) => {
    const { target } = changing("absent", noSuch);
    const text = "steps: [{id: make, fake.make: {}}, {id: ask, fake.needs: {}}]";
    const ran = await h.run(text, { target, plan: true });
    expect([ran.exit, ran.ended]).toEqual([0, ["make not_previewable", "ask undetermined"]]);
    expect(h.calls).toEqual([]);
  }));

test("in a plan, what needs what an undetermined step may give is undetermined as well", () =>
  withHarness(async (h) => {
    h.write("team/make", "summary: A test.\nrisk: change\nsteps: [{id: inner, fake.make: {}}]\n");
    for (const maker of [
      'fake.make: {n: "${steps.act.output.n}"}',
      "when: steps.act.output.n, fake.make: {}",
      "foreach: steps.act.output.n, fake.make: {}",
      "when: steps.act.output.n, block: [{id: b, fake.make: {}}]",
      "foreach: steps.act.output.n, block: [{id: b, fake.look: {}}], always: [{id: c, fake.make: {}}]",
      "when: steps.act.output.n, fake.call: {runbook: team/make}",
    ]) {
      const { target } = changing("absent", noSuch);
      const ran = await h.run(
        `steps: [{id: act, fake.act: {}}, {id: make, ${maker}}, {id: ask, fake.needs: {}}]`,
        { target, plan: true },
      );
      expect([maker, ran.exit, ran.ended.slice(-2)]).toEqual([
        maker,
        0,
        ["make undetermined", "ask undetermined"],
      ]);
    }
  }));

test("a free name is for runs that make something; every other run is told that there is no such cluster", () =>
  withHarness(async (h) => {
    const { target } = changing("absent", noSuch);
    for (const text of [
      "steps: [{id: a, fake.act: {}}]",
      `${READ}steps: [{id: a, fake.needs: {}}]`,
      `${READ}steps: [{id: a, fake.look: {}}]`,
      `${READ}steps: [{id: a, fake.look: {}}]\noutput: {state: target.state}`,
    ])
      expect(await codeOf(h.run(text, { target }))).toMatchObject({
        code: "no_target",
        hint: "Did you mean news?",
      });
    expect(h.calls).toEqual([]);
  }));

test("another identity than the registered one is met when the target comes up", () =>
  withHarness(async (h) => {
    const { target, rise } = changing("down", refused);
    h.on = { make: () => (rise(), null) };
    const ran = await h.run("steps: [{id: make, fake.make: {}}, {id: ask, fake.needs: {}}]", {
      target: { ...target, expectedIdentity: "9" },
    });
    expect(ran.error).toMatchObject({ code: "identity_mismatch", step: "ask" });
  }));

test("a resumed run goes on though its target is down, and tells the target whom to expect", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.again: {}}, {id: b, fake.again: {}}]";
    await h.killedIn(text, "b");
    const expected: string[] = [];
    const { target } = changing("down", refused);
    h.calls.length = 0;
    const ran = await h.run(text, {
      target: { ...target, expect: (identity) => void expected.push(identity) },
      resume: { assumed: {} },
    });
    expect([ran.exit, h.calls, expected]).toEqual([0, ["act b"], ["7"]]);
  }));

test("a cluster that a parameter names is judged and locked as the target is, in the order of the names", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.act: {}}]";
    const locked: string[] = [];
    const one = (name: string, more: Partial<Target> = {}): Target => ({
      name,
      cluster: name,
      labels: [],
      ownership: "managed",
      expectedIdentity: null,
      facts: async () => ({ state: "up", identity: `of ${name}`, capabilities: [], facts: {} }),
      async lock() {
        locked.push(name);
        return { held: async () => "held", release: async () => void locked.push(`${name} back`) };
      },
      close: async () => {},
      ...more,
    });
    const keys = () =>
      h.journal.db.query<{ key: string }, []>("SELECT key FROM lock ORDER BY key").all();
    const { lock } = one("drill");
    const ran = await h.run(text, { target: { lock: lock! }, others: [one("copy"), one("zebra")] });
    expect(ran.exit).toBe(0);
    expect(locked.splice(0, 3)).toEqual(["copy", "drill", "zebra"]);
    expect(keys().map(({ key }) => key)).toEqual(
      expect.arrayContaining(["copy (config)", "drill (config)", "of zebra (config)"]),
    );
    // One that has it refuses the run, and what was had of the others is given back.
    locked.length = 0;
    const busy = one("zebra", { lock: async () => ({ heldBy: "run x" }) });
    expect(
      await codeOf(h.run(text, { target: { lock: lock! }, others: [one("copy"), busy] })),
    ).toMatchObject({ code: "lock_held" });
    expect(locked).toEqual(["copy", "drill", "drill back", "copy back"]);
    // The identity of each is judged, and its labels.
    const another = one("copy", { expectedIdentity: "9" });
    expect(await codeOf(h.run(text, { others: [another] }))).toMatchObject({
      code: "identity_mismatch",
    });
    const production = one("copy", { labels: ["production"] });
    expect(
      await codeOf(
        h.run(text.replace("steps", "summary: s\nrisk: destructive\nsteps"), {
          others: [production],
          flags: { confirm: "drill", withoutBackup: "drill" },
        }),
      ),
    ).toMatchObject({ code: "gate_refused", gate: "production" });
  }));
