import { expect, test } from "bun:test";
import { codeOf, fail, type Harness, withHarness } from "./harness.ts";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));

test("called runbooks: parameters are checked, outputs come back, what is missing is a usage error of the step", () =>
  withHarness(async (h) => {
    h.write(
      "sub/add",
      "summary: S\nrisk: read\nparams: {n: {type: integer, required: true}, by: {type: integer, default: 10}}\nsteps: [{id: sum, set: {n: params.n + params.by}}]\noutput: {n: steps.sum.output.n}\n",
    );
    h.on = { a: () => ({ n: 5, text: "x" }) };
    const ran = await h.run(
      'steps:\n  - {id: a, fake.look: {}}\n  - {id: s, run: {runbook: sub/add, params: {n: "${steps.a.output.n}"}}}\noutput: {n: steps.s.output.n}\n',
    );
    expect(ran).toMatchObject({ data: { n: 15 }, ended: ["a ok", "s/sum ok", "s ok"] });
    const bad = await h.run(
      'steps:\n  - {id: a, fake.look: {}}\n  - {id: s, run: {runbook: sub/add, params: {n: "${steps.a.output.text}"}}}\n',
    );
    expect(bad.error).toMatchObject({ code: "invalid_param", step: "s" });
  }));

test("called runbooks: a circle is refused before anything runs, and one that lint can't see before it acts twice", () =>
  withHarness(async (h) => {
    const refused = h.run("steps: [{id: a, fake.act: {}}, {id: again, run: demo/one}]");
    expect(await codeOf(refused)).toMatchObject({
      code: "invalid_runbook",
      message: expect.stringContaining("in a circle: demo/one → demo/one"),
    });
    expect(h.calls).toEqual([]);
    h.on = { b: (ctx) => ctx.call("demo/one", {}) };
    const ran = await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.look: {}}]");
    expect(ran.error).toMatchObject({
      code: "limit_exceeded",
      message: "demo/one calls itself: demo/one → demo/one",
    });
    expect(acts(h)).toEqual(["act a", "undo a"]);
  }));

test("a secret is handed on to what is called, and masked everywhere", () =>
  withHarness(async (h) => {
    h.write(
      "sub/login",
      'summary: S\nrisk: change\nparams: {password: {type: string, secret: true, required: true}}\nsteps: [{id: login, fake.act: {password: "${params.password}"}}]\noutput: {echo: steps.login.output.echo}\n',
    );
    h.secrets.add("hunter2-secret");
    let seen: unknown;
    h.on = {
      login: (ctx, input) => {
        seen = input.password;
        ctx.log(`with ${input.password}`);
        ctx.warn(`warned ${input.password}`);
        return { echo: `it is ${input.password}` };
      },
    };
    const ran = await h.run(
      'params: {password: {type: string, secret: true}}\nsteps: [{id: s, run: {runbook: sub/login, params: {password: "${params.password}"}}}]\noutput: {echo: steps.s.output.echo}\n',
      { params: { password: "hunter2-secret" } },
    );
    expect(seen).toBe("hunter2-secret");
    expect(ran.data).toEqual({ echo: "it is ********" });
    const everything = JSON.stringify([
      ran.envelope,
      h.events,
      h.journal.db.query("SELECT * FROM step").all(),
      h.journal.db.query("SELECT * FROM run").all(),
    ]);
    expect(everything).not.toContain("hunter2-secret");
    expect(everything).toContain("with ********");
  }));

test("sensitive: the output reaches later steps, and no artifact; a plan does not show it either", () =>
  withHarness(async (h) => {
    h.on = { a: () => ({ token: "tok-12345678" }), b: (_, input) => input };
    const ran = await h.run(
      'steps:\n  - {id: a, sensitive: true, fake.act: {}}\n  - {id: b, fake.look: {t: "${steps.a.output.token}"}}\noutput: {t: steps.b.output.t}\n',
    );
    expect(ran.data).toEqual({ t: "********" });
    const everything = JSON.stringify([
      ran.envelope,
      h.events,
      h.journal.db.query("SELECT * FROM step").all(),
    ]);
    expect(everything).not.toContain("tok-12345678");
    expect(h.journal.steps("run-1")[0]).toMatchObject({ masked: true, result: { output: null } });
    const plan = await h.run(
      "steps: [{id: p, sensitive: true, fake.shown: {content: private text}}]",
      { plan: true },
    );
    expect(
      JSON.stringify([plan.envelope, h.journal.db.query("SELECT * FROM step").all()]),
    ).not.toContain("private text");
  }));

test("a secret in argv is refused, and no rescue, retry or ignore_error takes that", () =>
  withHarness(async (h) => {
    h.secrets.add("argv-secret");
    h.on = { a: async (ctx) => (await ctx.spawn(["echo", "argv-secret"])).stdout };
    for (const more of ["ignore_error: true", 'retry: {attempts: 3, on: "true"}']) {
      const ran = await h.run(
        `steps: [{id: g, block: [{id: a, fake.act: {}, ${more}}], rescue: [{id: r, fake.keep: {}}]}]`,
      );
      expect(ran.error).toMatchObject({ code: "secret_exposed", step: "a" });
    }
    expect(acts(h)).toEqual(["act a", "undo a unfinished", "act a", "undo a unfinished"]);
  }));

test("destructive: a verified backup is taken first, outlives a failure, and what does not say verified stops the run", () =>
  withHarness(async (h) => {
    const backup = (verified: string) =>
      h.write(
        "backup/create",
        `summary: B\nrisk: change\ngives: [verified_backup]\nsteps: [{id: copy, fake.act: {}}]\noutput: {verified: "${verified}"}\n`,
      );
    const text = "summary: D\nrisk: destructive\nsteps: [{id: drop, fake.act: {}}]\n";
    const options = { flags: { confirm: "drill" } };
    expect(await codeOf(h.run(text, options))).toMatchObject({
      code: "gate_refused",
      gate: "backup",
    });
    backup("true");
    h.on = { drop: fail() };
    const ran = await h.run(text, options);
    expect(ran.exit).toBe(5);
    expect(acts(h)).toEqual(["act backup_before/copy", "act drop", "undo drop unfinished"]);
    for (const word of ["false", "'true'"]) {
      backup(word);
      h.calls.length = 0;
      expect((await h.run(text, options)).error).toMatchObject({
        code: "gate_refused",
        message: expect.stringContaining("not verified"),
      });
      expect(acts(h)).toEqual(["act backup_before/copy"]);
    }
  }));

test("destructive: what the runbook refuses by itself at its beginning is refused before a backup is taken", () =>
  withHarness(async (h) => {
    h.write(
      "backup/create",
      'summary: B\nrisk: change\ngives: [verified_backup]\nsteps: [{id: copy, fake.act: {}}]\noutput: {verified: "true"}\n',
    );
    const text = (first: string, holds: boolean) =>
      `summary: D\nrisk: destructive\nsteps: [${first}, {id: allowed, assert: {that: "${holds}", message: no}}, {id: drop, fake.act: {}}]\n`;
    const look = "{id: look, fake.look: {}}";
    const options = { flags: { confirm: "drill" } };
    const ran = await h.run(text(look, false), options);
    expect([ran.error?.code, acts(h)]).toEqual(["assertion_failed", []]);
    await h.run(text(look, true), options);
    expect(acts(h)).toEqual(["act backup_before/copy", "act drop"]);
    // So does a refusal right behind another one, and none behind a look of its own.
    h.calls.length = 0;
    const also = (between: string) =>
      text(`{id: holds, assert: {that: "true", message: yes}}${between}`, false);
    expect((await h.run(also(""), options)).error?.code).toBe("assertion_failed");
    expect(acts(h)).toEqual([]);
    expect((await h.run(also(`, ${look}`), options)).error?.code).toBe("assertion_failed");
    expect(acts(h)).toEqual(["act backup_before/copy"]);
    // What acts comes after it, also before a refusal.
    h.calls.length = 0;
    await h.run(text("{id: first, fake.act: {}}", false), options);
    expect(acts(h)).toEqual([
      "act backup_before/copy",
      "act first",
      expect.stringContaining("undo first"),
    ]);
  }));

test("a refusal is told before anything is recorded or done, though closing fails too", () =>
  withHarness(async (h) => {
    const close = async () => {
      throw new Error("closing failed");
    };
    expect(
      await codeOf(
        h.run("summary: D\nrisk: disruptive\nsteps: [{id: a, fake.act: {}}]", {
          target: { close },
        }),
      ),
    ).toMatchObject({ code: "approval_needed" });
    expect(h.journal.runs(9)).toEqual([]);
    expect(h.calls).toEqual([]);
  }));

test("a step that does not wait for what it called is waited for itself", () =>
  withHarness(async (h) => {
    h.write("sub/long", "summary: S\nrisk: change\nsteps: [{id: long, fake.act: {}}]\n");
    h.on = {
      a: (ctx) => void ctx.call("sub/long", {}) as never,
      long: async () => {
        await Bun.sleep(10);
        h.calls.push("end long");
        return null;
      },
    };
    await h.run(
      'steps: [{id: a, fake.look: {}}, {id: never, when: "false", run: sub/long}, {id: b, fake.act: {}}]',
    );
    expect(acts(h)).toEqual(["act a/long", "end long", "act b"]);
  }));

test("what is called is gated as if it had been asked for", () =>
  withHarness(async (h) => {
    h.write(
      "chaos/kill",
      "summary: S\nrisk: disruptive\nhazards: [fault]\nsteps: [{id: kill, fake.act: {}}]\n",
    );
    const text = "summary: D\nrisk: disruptive\nsteps: [{id: drill, run: chaos/kill}]\n";
    expect(await codeOf(h.run(text, { flags: { yes: true } }))).toMatchObject({
      code: "gate_refused",
      gate: "fault",
    });
    expect((await h.run(text, { flags: { yes: true, iKnowWhatIAmDoing: true } })).exit).toBe(0);
    expect(h.calls).toEqual(["act drill/kill"]);
  }));

test("what a template makes of a step must not be more than the gates have seen", () =>
  withHarness(async (h) => {
    const act = h.types.find(({ type }) => type === "fake.act")!;
    act.risk = (input: unknown) =>
      (input as { mode?: string }).mode === "hard" ? "disruptive" : "change";
    const text = (mode: string) =>
      `steps: [{id: hard, set: {mode: "'hard'"}}, {id: a, fake.act: {mode: "${mode}"}}]`;
    const ran = await h.run(text("${steps.hard.output.mode}"));
    expect(ran.error).toMatchObject({
      code: "step_refused",
      step: "a",
      message: expect.stringContaining("disruptive"),
    });
    expect(h.calls).toEqual([]);
    const said = `summary: S\nrisk: disruptive\n${text("${steps.hard.output.mode}")}`;
    expect((await h.run(said, { flags: { yes: true } })).exit).toBe(0);
    expect(h.calls).toEqual(["act a"]);
  }));

test("what was decided away is not done by somebody else, who calls it by its name", () =>
  withHarness(async (h) => {
    h.write(
      "sub/hard",
      "summary: S\nrisk: change\nhazards: [fault]\nlocks: all\nsteps: [{id: x, fake.act: {}}]\n",
    );
    h.types.find(({ type }) => type === "fake.act")!.hazards = ["fault"];
    h.on = { a: (ctx) => ctx.call("sub/hard", {}) };
    const ran = await h.run(
      'steps: [{id: a, fake.look: {}}, {id: never, when: "false", run: sub/hard}]',
    );
    expect(ran.error).toMatchObject({ code: "step_refused", step: "a/x" });
    expect(acts(h)).toEqual([]);
  }));

test("a step that is decided away by parameters or target is not asked for, and a run needs what its steps do", () =>
  withHarness(async (h) => {
    const act = h.types.find(({ type }) => type === "fake.act")!;
    act.risk = "disruptive";
    act.needs = ["patroni"];
    const text = `summary: S
risk: change
params: {hard: {type: boolean, default: false}}
steps:
  - {id: b, fake.free: {}}
  - {id: a, when: params.hard && target.version > 17, fake.act: {}}
`;
    expect((await h.run(text, { params: { hard: false } })).ended).toEqual(["b ok", "a skipped"]);
    const refused = await codeOf(h.run(text, { params: { hard: true }, flags: { yes: true } }));
    expect(refused).toMatchObject({ code: "capability_missing", gate: "capabilities" });
    expect(refused.message).toContain("patroni (for step `a`)");
    act.needs = ["postgres"];
    expect(await codeOf(h.run(text, { params: { hard: true } }))).toMatchObject({
      code: "approval_needed",
      gate: "disruptive",
    });
    const ran = await h.run(text, { params: { hard: true }, flags: { yes: true } });
    expect(ran.run["risk"]).toBe("disruptive");
  }));

test("a fault needs its flags by whichever runbook, and what may lose data a backup first or the word of a person", () =>
  withHarness(async (h) => {
    const act = h.types.find(({ type }) => type === "fake.act")!;
    Object.assign(act, { risk: "disruptive", hazards: ["fault", "loses"] });
    const text = "summary: A drill\nrisk: disruptive\nsteps: [{id: kill, fake.act: {}}]\n";
    const flags = { yes: true, iKnowWhatIAmDoing: true };
    expect(await codeOf(h.run(text, { flags: { yes: true } }))).toMatchObject({
      gate: "fault",
      message: expect.stringContaining("step `kill`"),
    });
    expect(await codeOf(h.run(text, { flags }))).toMatchObject({ gate: "backup" });
    for (const withoutBackup of ["another"])
      expect(await codeOf(h.run(text, { flags: { ...flags, withoutBackup } }))).toMatchObject({
        gate: "backup",
      });
    const without = await h.run(text, { flags: { ...flags, withoutBackup: "drill" } });
    expect(without.run).toMatchObject({ without_backup: true, hazards: ["fault", "loses"] });
    expect(without.run.warnings.join()).toContain("--without-backup=drill");
    expect(h.journal.run(String(without.run["id"]))?.judged).toEqual({
      hazards: ["fault", "loses"],
      locks: ["all"],
      backup: null,
      withoutBackup: true,
    });
    const partial = async () => ({
      state: "partial" as const,
      identity: null,
      capabilities: [],
      facts: {},
    });
    expect((await h.run(text, { flags, target: { facts: partial } })).run["without_backup"]).toBe(
      undefined,
    );
    h.calls.length = 0;
    h.write(
      "team/copy",
      'summary: B\nrisk: read\ngives: [verified_backup]\nlocks: backup\nsteps: [{id: copy, fake.look: {}}]\noutput: {verified: "true"}\n',
    );
    await h.run(text, { flags });
    expect(h.calls).toEqual(["look backup_before/copy", "act kill"]);
    h.write("team/other", "extends: team/copy\n");
    expect(await codeOf(h.run(text, { flags }))).toMatchObject({
      gate: "backup",
      message: expect.stringContaining("team/copy, team/other"),
    });
  }));

test("a resumed run goes on with what was decided of the backup when it began", () =>
  withHarness(async (h) => {
    const text =
      "summary: D\nrisk: destructive\nsteps: [{id: one, fake.again: {}}, {id: two, fake.again: {}}]\n";
    const confirmed = { flags: { confirm: "drill" } };
    h.write(
      "team/copy",
      'summary: B\nrisk: read\ngives: [verified_backup]\nsteps: [{id: copy, fake.look: {}}]\noutput: {verified: "true"}\n',
    );
    await h.killedIn(text, "two", 1, confirmed);
    const ran = await h.resume(text);
    expect([ran.exit, ran.ended]).toEqual([
      0,
      ["copy", "one", "two"].map((id) => (id === "copy" ? "backup_before/copy ok" : `${id} ok`)),
    ]);

    await h.killedIn(text, "two", 1, { flags: { confirm: "drill", withoutBackup: "drill" } });
    const without = await h.resume(text);
    expect(without.ended).toEqual(["one ok", "two ok"]);
    expect(without.run["without_backup"]).toBe(true);
  }));

test("a step type calls what its input names in a text marked as a runbook, and is told so of any other", () =>
  withHarness(async (h) => {
    h.write(
      "sub/a",
      "summary: S\nrisk: read\nsteps: [{id: x, fake.look: {}}]\noutput: {n: steps.x.output.n}\n",
    );
    const look = h.types.find(({ type }) => type === "fake.look")!;
    h.on = { a: (ctx) => ctx.call("sub/a", {}), x: () => ({ n: 3 }) };
    const refused = await h.run("steps: [{id: a, fake.look: {which: sub/a}}]");
    expect(refused.error).toMatchObject({ code: "unknown_runbook", step: "a" });
    expect(refused.error!.hint).toContain("`format: runbook`");
    look.input = {
      type: "object",
      properties: { which: { type: "string", format: "runbook", "x-lang": "static" } },
    };
    const ran = await h.run(
      "steps: [{id: a, fake.look: {which: sub/a}}]\noutput: {n: steps.a.output.n}",
    );
    expect(ran).toMatchObject({ exit: 0, data: { n: 3 } });
  }));
