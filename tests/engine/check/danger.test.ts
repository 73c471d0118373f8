import { expect, test } from "bun:test";
import { compile } from "../../../engine/check/compile.ts";
import type { Danger } from "../../../engine/check/danger.ts";
import { outlineOf, outlinesOf } from "../../../engine/check/outline.ts";
import { type Known, unionOf } from "../../../engine/check/union.ts";
import { makeRegistry } from "../../../engine/cli/library.ts";
import { declarationsOf, ownType } from "../../../engine/declared.ts";
import type { StepType } from "../../../engine/types.ts";
import { loaders } from "../../../steps/_registry.ts";
import { withLibrary } from "./support.ts";

const base: StepType = {
  type: "",
  summary: "",
  example: "",
  effect: "change",
  idempotent: true,
  input: { type: "object" },
  output: {},
  run: async () => null,
};
const TYPES: Record<string, Partial<StepType>> = {
  "t.look": { effect: "read", needs: ["postgres"] },
  "t.act": { needs: ["primary"], locks: "config" },
  "t.kill": {
    risk: "disruptive",
    locks: "roles",
    hazards: (input: { soft?: boolean }) => (input.soft === true ? [] : ["fault", "loses"]),
  },
  "t.wipe": { risk: "destructive", hazards: ["destroys", "loses"] },
  "t.keep": { risk: "destructive", hazards: [] },
  "t.init": { gives: ["postgres", "primary"], locks: "none" },
  "t.broken": {
    risk: () => {
      throw new Error("no");
    },
    hazards: () => ["falt" as never],
  },
};
const CAPABILITIES = ["postgres", "primary", "verified_backup"];
const registry = makeRegistry(
  {
    ...loaders,
    ...Object.fromEntries(
      Object.entries(TYPES).map(([type, more]) => [
        type,
        async () => ({ default: { ...base, type, ...more } }),
      ]),
    ),
  },
  CAPABILITIES,
);

/** The union of `demo/one`, whose steps are `steps`. */
function danger(
  steps: string,
  {
    others = {},
    head = "risk: destructive",
    ...known
  }: Partial<Known> & {
    others?: Record<string, string>;
    head?: string;
  } = {},
): Promise<Danger> {
  const text = `summary: s\n${head}\nsteps: ${steps}\n`;
  return withLibrary({ ...others, "demo/one": text }, async (library) => {
    const outline = outlineOf(await library.load("demo/one"), registry);
    const parts = { registry, outlines: outlinesOf(library, registry) };
    const union = await unionOf(outline, parts, { open: true, params: {}, ...known });
    return union.danger("demo/one");
  });
}

async function said(text: string, others: Record<string, string> = {}): Promise<string[]> {
  return withLibrary({ ...others, "demo/one": text }, async (library) => {
    const { diagnostics } = await compile(await library.load("demo/one"), { registry, library });
    return diagnostics.map(
      ({ where, rule, message, hint }) =>
        `${where.line}:${where.column} ${rule}: ${message}${hint?.startsWith("Did you") ? ` ${hint}` : ""}`,
    );
  });
}

const READ = { head: "risk: read" };

test("the union is over all steps, wherever they stand, and over all that is called", async () => {
  expect(await danger("[{t.look: {}}]", READ)).toMatchObject({
    risk: "read",
    hazards: [],
    needs: ["postgres"],
    locks: [],
    steps: ["t.look"],
    backup: null,
  });
  const places = [
    "[{t.act: {}, undo: [{id: x, t.kill: {}}]}]",
    "[{block: [{t.look: {}}], rescue: [{id: x, t.kill: {}}]}]",
    "[{block: [{t.look: {}}], always: [{block: [{id: x, t.kill: {}}]}]}]",
    "[{id: x, t.kill: {}, foreach: [1, 2]}]",
  ];
  for (const steps of places)
    expect(await danger(steps, READ), steps).toMatchObject({
      risk: "disruptive",
      hazards: ["fault", "loses"],
      backup: "step `x`",
      who: { risk: "step `x`", hazards: { fault: "step `x`" } },
    });
  const others = {
    "sub/a": "summary: s\nrisk: change\nsteps: [{t.act: {}}, {run: sub/b}]\n",
    "sub/b": "summary: s\nrisk: disruptive\nneeds: [postgres]\nsteps: [{id: x, t.kill: {}}]\n",
  };
  expect(await danger("[{run: sub/a}]", { ...READ, others })).toMatchObject({
    risk: "disruptive",
    hazards: ["fault", "loses"],
    needs: ["primary", "postgres"],
    locks: ["config", "roles"],
    steps: ["run", "t.act", "t.kill"],
    backup: "step `x` of `sub/b`",
    who: { risk: "`sub/b`", needs: { postgres: "`sub/b`", primary: "step `t_act_1` of `sub/a`" } },
  });
  // One of them locks all; so does the union.
  expect((await danger("[{t.act: {}}, {t.wipe: {}}]")).locks).toEqual(["all"]);
});

test("a runbook needs what no earlier step gives, in the order of the steps", async () => {
  const needs = async (steps: string, more = {}) =>
    (await danger(steps, { ...READ, ...more })).needs;
  expect(await needs("[{t.look: {}}, {t.init: {}}]")).toEqual(["postgres"]);
  expect(await needs("[{t.init: {}}, {t.look: {}}]")).toEqual([]);
  const others = {
    "sub/init": "summary: s\nrisk: change\ngives: [verified_backup]\nsteps: [{t.init: {}}]\n",
  };
  expect(await needs("[{run: sub/init}, {t.act: {}}]", { others })).toEqual([]);
  expect(await danger("[{run: sub/init}]", { ...READ, others })).toMatchObject({
    gives: ["postgres", "primary", "verified_backup"],
  });
  // What it says itself, it needs in any case.
  expect(await needs("[{t.init: {}}]", { head: "risk: read\nneeds: [primary]" })).toEqual([
    "primary",
  ]);
  expect(await needs("[{block: [{t.init: {}}]}, {t.look: {}}]")).toEqual([]);
});

test("a `when` over params and target is decided; what is false does not count, what can't be told does", async () => {
  const head =
    "risk: read\nparams: {hard: {type: boolean, default: false}, size: {type: integer, required: true}}";
  const of = async (when: string, known: Partial<Known>) => {
    const { risk } = await danger(`[{when: "${when}", t.kill: {}}]`, { head, ...known });
    return risk;
  };
  const target = { state: "down" };
  expect(await of("params.hard", { params: { hard: true } })).toBe("disruptive");
  expect(await of("params.hard", { params: { hard: false } })).toBe("read");
  expect(await of("params.hard", {})).toBe("read");
  expect(await of("params.hard && target.state == 'up'", { params: { hard: true }, target })).toBe(
    "read",
  );
  expect(await of("target.state == 'down'", { target })).toBe("disruptive");
  expect(await of("target.state == 'down'", {})).toBe("disruptive");
  expect(await of("target.state == 'down'", { open: false })).toBe("read");
  expect(await of("params.size > 1", { params: undefined, open: false })).toBe("read");
  expect(await of("[1, 2].exists(n, n > params.size)", { params: { size: 5 } })).toBe("read");
  // What reads anything else is not decided, whatever its value would be.
  expect(await of("run.id == ''", { params: {} })).toBe("disruptive");
  expect(await of("params.hard && run.id == ''", { params: { hard: false } })).toBe("disruptive");
  // One that fails is no no.
  expect(await of("params.nothing", {})).toBe("disruptive");
  // A step that may run may give.
  const gives = await danger("[{when: params.hard, t.init: {}}, {t.look: {}}]", {
    head,
    params: undefined,
    open: false,
  });
  expect(gives.needs).toEqual([]);
});

test("the parameters of a call are known as far as they are written", async () => {
  const others = {
    "sub/kill":
      "summary: s\nrisk: read\nparams: {hard: {type: boolean, default: false}, n: {type: integer, default: 1}}\nsteps: [{when: params.hard, t.kill: {}}]\n",
  };
  const head = "risk: read\nparams: {mode: {type: string, default: soft}}";
  const of = async (given: string, known: Partial<Known> = {}) =>
    (
      await danger(`[{t.look: {}}, {run: {runbook: sub/kill, params: ${given}}}]`, {
        head,
        others,
        ...known,
      })
    ).risk;
  expect(await of("{}")).toBe("read");
  expect(await of("{hard: true}", { params: undefined, open: false })).toBe("disruptive");
  expect(await of("{hard: \"${params.mode == 'hard'}\"}", { params: { mode: "hard" } })).toBe(
    "disruptive",
  );
  expect(await of("{hard: \"${params.mode == 'hard'}\"}", { params: { mode: "soft" } })).toBe(
    "read",
  );
  // Made of what a step gives: nobody knows.
  expect(await of('{hard: "${steps.t_look_1.output == null}"}')).toBe("disruptive");
});

test("a document is judged as whatever it extends or replaces, and needs nothing of that", async () => {
  const others = {
    "chaos/kill":
      "summary: s\nrisk: disruptive\nneeds: [primary]\nsteps: [{id: kill, t.kill: {}}]\n",
  };
  const found = await withLibrary(
    {
      ...others,
      "demo/one":
        "extends: chaos/kill\nsummary: mild\nneeds: []\ndrop: [kill]\nsteps: [{t.look: {}}]\n",
    },
    async (library) => {
      const outline = outlineOf(await library.load("demo/one"), registry);
      const parts = { registry, outlines: outlinesOf(library, registry) };
      return (await unionOf(outline, parts, { open: true, params: {} })).danger("demo/one");
    },
  );
  expect(found).toMatchObject({
    risk: "disruptive",
    hazards: ["fault", "loses"],
    needs: ["postgres"],
    locks: [],
    steps: ["t.kill", "t.look"],
    backup: "step `kill` of `chaos/kill` (which `demo/one` extends or replaces)",
  });
});

test("who loses data asks for a backup: a destructive step, a fault, or a runbook that says no more than destructive", async () => {
  const backup = async (steps: string, head?: string) =>
    (await danger(steps, head === undefined ? READ : { head })).backup;
  expect(await backup("[{id: w, t.wipe: {}}]")).toBe("step `w`");
  expect(await backup("[{id: k, t.kill: {}}]")).toBe("step `k`");
  expect(await backup("[{id: k, t.kill: {soft: true}}]")).toBeNull();
  // One that keeps the old data.
  expect(await backup("[{t.keep: {}}]")).toBeNull();
  expect(await backup("[{t.keep: {}}]", "risk: destructive")).toBeNull();
  expect(await backup("[{t.act: {}}]", "risk: destructive")).toBe("`demo/one`");
  expect(await backup("[{t.act: {}}]", "risk: destructive\nhazards: [destroys]")).toBeNull();
  expect(await backup("[{t.keep: {}}]", "risk: destructive\nhazards: [loses]")).toBe("`demo/one`");
  expect(await backup("[{t.act: {}}]", "risk: disruptive\nhazards: [loses]")).toBeNull();
});

test("lint: never less than the steps do, each at its place, and only what can't be decided away", async () => {
  const others = {
    "sub/kill": "summary: s\nrisk: disruptive\nsteps: [{id: deep, t.kill: {}}]\n",
    "sub/hides": "summary: s\nrisk: read\nsteps: [{id: deep, t.kill: {}}]\n",
  };
  const head = (risk: string, more = "") => `summary: s\nrisk: ${risk}\n${more}steps:\n`;
  expect(await said(`${head("change")}  - {id: kill, t.kill: {}}\n`)).toEqual([
    "4:16 risk-too-low: step `kill` is disruptive, and the runbook says change",
  ]);
  expect(
    await said(`${head("read")}  - {id: a, t.act: {}}\n  - {run: sub/kill}\n`, others),
  ).toEqual([
    "4:13 risk-too-low: step `a` changes something, and the runbook says read",
    "5:11 risk-too-low: `sub/kill` is disruptive, and the runbook says read",
  ]);
  expect(await said(`${head("change")}  - {run: sub/hides}\n`, others)).toEqual([
    "4:11 risk-too-low: step `deep` of `sub/hides` is disruptive, and the runbook says change",
  ]);
  expect(
    await said(
      `${head("read", "params: {hard: {type: boolean}}\n")}  - {when: params.hard, t.wipe: {}}\n  - {when: "'x' == target.state", run: sub/kill}\n`,
      others,
    ),
  ).toEqual([]);
  expect(
    await said(
      `${head("destructive", "hazards: [loses]\nlocks: config\n")}  - {id: kill, t.kill: {}}\n`,
    ),
  ).toEqual([
    "6:16 hazard-not-said: step `kill` breaks things on purpose (hazard fault), and the runbook does not say so",
    "6:16 lock-not-said: step `kill` locks roles, and the runbook says config",
  ]);
  expect(
    await said(
      `${head("destructive", "hazards: [loses, fault]\nlocks: [config, roles]\n")}  - {t.kill: {}}\n`,
    ),
  ).toEqual([]);
});

test("lint: wrong words", async () => {
  const text = (line: string) => `summary: s\nrisk: read\n${line}\nsteps: [{t.look: {}}]\n`;
  expect(await said(text("hazards: [falt]"))).toEqual([
    expect.stringMatching(/^3:11 .*fault, destroys, loses.*Did you mean fault\?$/),
  ]);
  expect(await said(text("locks: role"))).toEqual([
    expect.stringMatching(/^3:8 .*Did you mean roles\?$/),
  ]);
  expect(await said(text("locks: [config, al]"))).toEqual([
    expect.stringMatching(/^3:17 .*Did you mean all\?$/),
  ]);
  expect(await said(text("gives: [verified_backp]"))).toEqual([
    expect.stringMatching(/^3:9 unknown-capability.*Did you mean verified_backup\?$/),
  ]);
  expect(await said(text("needs: [postgre]"))).toEqual([
    expect.stringMatching(/Did you mean postgres\?$/),
  ]);
});

test("what can't tell is taken for the worst, and a type of one's own that does not say is disruptive", async () => {
  const broken = declarationsOf(await registry.get("t.broken"), {});
  expect(broken).toMatchObject({ risk: "destructive", hazards: ["fault", "destroys", "loses"] });
  expect(declarationsOf(base, {})).toMatchObject({ risk: "change", hazards: [], locks: "all" });
  const risk = (more: Partial<StepType>) => declarationsOf(ownType({ ...base, ...more }), {}).risk;
  expect(risk({})).toBe("disruptive");
  expect(risk({ effect: () => "read" })).toBe("disruptive");
  expect(risk({ effect: "read" })).toBe("read");
  expect(risk({ risk: "change" })).toBe("change");
});

test("many calls of many runbooks are walked once", async () => {
  const others = Object.fromEntries(
    Array.from({ length: 8 }, (_, level) => [
      `deep/l${"x".repeat(level)}`,
      `summary: s\nrisk: read\nparams: {n: {type: integer, default: 0}}\nsteps:\n${
        level === 7
          ? "  - t.kill: {}\n"
          : Array.from(
              { length: 40 },
              (__, n) => `  - run: {runbook: deep/l${"x".repeat(level + 1)}, params: {n: ${n}}}\n`,
            ).join("")
      }`,
    ]),
  );
  const began = performance.now();
  expect((await danger("[{run: deep/l}]", { ...READ, others })).risk).toBe("disruptive");
  expect(performance.now() - began).toBeLessThan(10_000);
});
