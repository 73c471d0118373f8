import { describe, expect, test } from "bun:test";
import { compile } from "../../../engine/check/compile.ts";
import { compileClosure } from "../../../engine/cli/closure.ts";
import type { StepRegistry, StepType } from "../../../engine/types.ts";
import { compileText, faults, registry, runbook, withLibrary } from "./support.ts";

describe("calls of other runbooks", () => {
  const others = {
    "other/call": `summary: Called.
risk: read
params:
  name: {type: string, required: true}
  count: {type: integer, default: 1}
steps:
  - set: {a: params}
output: {total: steps.set_1.output.a}
output_schema: {total: {type: integer}}
`,
    "other/still": "summary: S\nrisk: read\nsteps:\n  - set: {a: '1'}\n",
    "other/loud": "summary: Changes.\nrisk: change\nsteps:\n  - shell: {script: a}\n",
    "other/broken": "summary: [\n",
  };
  const calls: [string, string, string[]][] = [
    [
      "a good one",
      "  - {id: c, run: {runbook: other/call, params: {name: '${params.target}'}}}\n  - {when: steps.c.output.total > params.limit, set: {a: 1}}\n",
      [],
    ],
    [
      "what it yields",
      "  - {id: c, run: {runbook: other/call, params: {name: '${params}'}}}\n  - {when: steps.c.output.totl > 1, set: {a: 1}}\n  - {when: steps.c.output.total == 'x', set: {a: 1}}\n",
      ["8:27 unknown-key", "9:12 type-mismatch"],
    ],
    [
      "its parameters",
      "  - run: {runbook: other/call, params: {nam: '${params}', count: many}}\n",
      ["7:32 missing-key", "7:41 unknown-key", "7:66 type-mismatch"],
    ],
    [
      "its name",
      "  - {run: other/cal}\n  - {run: {runbook: ../../x}}\n  - {set: {a: params}}\n",
      ["7:11 unknown-runbook", "8:21 unknown-runbook"],
    ],
    [
      "a change of it repeated, also from a block",
      "  - {run: other/loud, until: params.limit > 1}\n  - {until: params.limit > 1, block: [{run: other/loud}], output: {a: params}}\n",
      ["7:6 until-of-change", "7:11 risk-too-low", "8:40 until-of-change", "8:45 risk-too-low"],
    ],
    [
      "an undo of it, or none",
      "  - {run: other/still, undo: [{set: {a: params}}]}\n  - {run: other/still, undo: false}\n",
      ["7:24 undo-of-read", "8:24 undo-of-read"],
    ],
    ["its risk", "  - {run: other/loud}\n  - {set: {a: params}}\n", ["7:11 risk-too-low"]],
    ["itself broken", "  - {run: other/broken}\n  - {set: {a: params}}\n", ["7:11 invalid-call"]],
    [
      "its name from a template",
      "  - {run: '${params.target}', when: params.limit > 1}\n",
      ["7:12 template-in-static"],
    ],
  ];
  test.each(calls)("%s", async (_, steps, expected) => {
    expect(await faults(runbook(steps), others)).toEqual(expected);
  });
});

describe("circles of calls", () => {
  const calling = (...names: string[]) =>
    `summary: S\nrisk: read\nsteps: [${names.map((name) => `{run: ${name}}`).join(", ")}]\n`;

  test.each([
    ["itself", ["demo/one"], {}, "demo/one → demo/one"],
    ["over one other", ["t/a"], { "t/a": calling("demo/one") }, "demo/one → t/a → demo/one"],
    [
      "over others, the shortest way",
      ["t/a"],
      {
        "t/a": calling("t/b"),
        "t/b": calling("t/c", "t/d"),
        "t/c": calling("t/d"),
        "t/d": calling("demo/one"),
      },
      "demo/one → t/a → t/b → t/d → demo/one",
    ],
    [
      "from an undo, a rescue and an always",
      ["t/a"],
      {
        "t/a":
          "summary: S\nrisk: read\nsteps: [{block: [{set: {a: 1}}], rescue: [{block: [{set: {a: 1}}], always: [{shell: {script: x, effect: read}, undo: [{run: demo/one}]}]}]}]\n",
      },
      "demo/one → t/a → demo/one",
    ],
    [
      "over a runbook that extends another",
      ["t/a"],
      { "t/a": "extends: t/base\n", "t/base": calling("demo/one") },
      "demo/one → t/a → demo/one",
    ],
  ] as [string, string[], Record<string, string>, string][])(
    "%s",
    async (_, calls, others, ring) => {
      const { diagnostics } = await compileText(calling(...calls), others);
      expect(diagnostics.map(({ rule, message }) => `${rule} ${message}`)).toEqual([
        `call-circle runbooks call one another in a circle: ${ring}`,
      ]);
    },
  );

  test("one that is not a part of the circle is told of it when it is run", async () => {
    const others = { "t/a": calling("t/b"), "t/b": calling("t/a") };
    expect(await faults(calling("t/a"), others)).toEqual([]);
    await withLibrary({ ...others, "demo/one": calling("t/a") }, async (library) => {
      await expect(compileClosure("demo/one", library, registry)).rejects.toThrow(
        /in a circle: t\/a → t\/b → t\/a/,
      );
    });
  });

  test("every runbook that a step type names counts", async () => {
    const each: StepType = {
      ...(await registry.get("run")),
      type: "each",
      input: {
        type: "object",
        properties: { of: { type: "array", items: { type: "string", format: "runbook" } } },
      },
    };
    const more: StepRegistry = {
      names: () => [...registry.names(), "each"],
      has: (name) => name === "each" || registry.has(name),
      get: async (name) => (name === "each" ? each : registry.get(name)),
    };
    const text = (names: string) => `summary: S\nrisk: read\nsteps: [{each: {of: [${names}]}}]\n`;
    const files = {
      "demo/one": text("t/a, t/none, t/b"),
      "t/a": calling("t/b"),
      "t/b": text("demo/one"),
    };
    await withLibrary(files, async (library) => {
      const doc = await library.load("demo/one");
      const { diagnostics } = await compile(doc, { registry: more, library });
      expect(diagnostics.map(({ rule }) => rule)).toEqual([
        "call-circle",
        "unknown-runbook",
        "call-circle",
      ]);
    });
  });

  test("calls that go too deep are told before anything runs, and many ways to one place take no time", async () => {
    const chain = (length: number) =>
      Object.fromEntries(
        Array.from({ length }, (_, n) => [
          `t/n${n + 1}`,
          n + 1 === length
            ? "summary: S\nrisk: read\nsteps: [{set: {a: 1}}]\n"
            : calling(`t/n${n + 2}`),
        ]),
      );
    expect(await faults(calling("t/n1"), chain(8))).toEqual([]);
    expect(await faults(calling("t/n1"), chain(9))).toEqual(["3:15 calls-too-deep"]);
    const wide = Object.fromEntries(
      Array.from({ length: 60 }, (_, n) => [
        `t/n${n + 1}`,
        n === 59
          ? "summary: S\nrisk: read\nsteps: [{set: {a: 1}}]\n"
          : calling(...Array.from({ length: 59 - n }, (_, k) => `t/n${n + k + 2}`)),
      ]),
    );
    expect(await faults(calling("t/n1"), wide)).toEqual(["3:15 calls-too-deep"]);
  });
});
