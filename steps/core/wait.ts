import { parseDuration } from "../../engine/shared/units.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

interface Input {
  for: string;
}

export default defineStep({
  type: "wait",
  pure: true,
  summary: "Let some time pass",
  docs: `Ends at once when the run is cancelled. A plan does not wait.

To wait *for something*, poll it instead: any step may have \`until\` and \`every\`.`,
  example: `- wait: {for: 5s}
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    properties: {
      for: {
        type: "string",
        format: "duration",
        description: "How long, e.g. `500ms`, `30s`, `1h30m`",
      },
    },
    required: ["for"],
    additionalProperties: false,
  },
  output: {
    type: "object",
    properties: { waited_ms: { type: "integer" } },
    required: ["waited_ms"],
    additionalProperties: false,
  },
  async run(ctx: StepContext, input: Input) {
    const ms = parseDuration(input.for);
    if (ctx.run.plan) return { waited_ms: 0 };
    const before = ctx.clock.monotonic();
    await ctx.clock.sleep(ms, ctx.signal);
    return { waited_ms: Math.round(ctx.clock.monotonic() - before) };
  },
});
