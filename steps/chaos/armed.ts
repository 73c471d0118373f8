import { defineStep } from "../define.ts";
import { ARMED, lasts, shownArmed } from "./fault/left.ts";

export default defineStep({
  type: "chaos.armed",
  summary: "List the faults that are armed on the cluster, and those that were left over",
  docs: `Found by label, without any journal, so that those of a run that was killed are there, too. \`lasting\` counts those that are not over.`,
  example: `- id: faults
  chaos.armed: {}
- assert:
    that: steps.faults.output.lasting == 0
    message: "a fault is in force"
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["faults", "lasting"],
    properties: { faults: ARMED, lasting: { type: "integer" } },
  },
  async run(ctx) {
    const armed = await (await ctx.use("nodes")).armed();
    return { faults: shownArmed(armed), lasting: armed.filter(lasts).length };
  },
});
