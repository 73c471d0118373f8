import type { JsonObject, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

type Input = string | { runbook: string; params?: JsonObject };

export default defineStep({
  type: "run",
  pure: true,
  summary: "Run another runbook inside this one",
  docs: `The output is that of the runbook called. Its steps are recorded, undone and gated as its own: the risk of
the called runbook counts, not that of the caller. The name is static, so that \`lint\` can check the parameters and
the use of the output.`,
  example: `- run:
    runbook: health/check
    params: {only: [replication_lag]}
`,
  // The call itself changes nothing: each step inside declares, and is journalled with, its own effect.
  effect: "read",
  idempotent: true,
  input: {
    type: ["string", "object"],
    format: "runbook",
    "x-lang": "static",
    properties: {
      runbook: {
        type: "string",
        format: "runbook",
        "x-lang": "static",
        description: "Its name, e.g. `health/check`",
      },
      params: { type: "object", description: "Values for its parameters" },
    },
    required: ["runbook"],
    additionalProperties: false,
  },
  output: {},
  async run(ctx: StepContext, input: Input) {
    const { runbook, params = {} } = typeof input === "string" ? { runbook: input } : input;
    return ctx.call(runbook, params);
  },
});
