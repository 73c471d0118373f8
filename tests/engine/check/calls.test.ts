import { describe, expect, test } from "bun:test";
import { faults, runbook } from "./support.ts";

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
