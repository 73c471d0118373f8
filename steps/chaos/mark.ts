import { defineStep } from "../define.ts";
import { loads } from "./drills/running.ts";

const PHASES = ["armed", "inject", "bitten", "heal", "healed", "event"] as const;

export default defineStep({
  type: "chaos.mark",
  summary: "Write down that a phase of a drill begins now, or that something has happened",
  docs: `\`inject\` stands right before the step that does it: from there on the time of recovery is counted. \`bitten\`: it is proven. Where no load of the drill runs, nothing is written.`,
  example: `- id: load
  chaos.load: {}
- chaos.mark: {drill: "\${steps.load.output.id}", phase: inject}
- chaos.check: {drill: "\${steps.load.output.id}", confirmed: null}
`,
  effect: "read",
  idempotent: true,
  input: {
    type: "object",
    additionalProperties: false,
    required: ["drill", "phase"],
    properties: {
      drill: { type: "string" },
      phase: { type: "string", enum: PHASES },
      text: { type: "string", default: "" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["at_ms", "acknowledged"],
    properties: {
      at_ms: {
        type: ["integer", "null"],
        description: "Since the load began; null where none runs",
      },
      acknowledged: {
        type: "integer",
        description: "So many writes were acknowledged until now; 0 where none runs",
      },
    },
  },
  async run(ctx, { drill, phase, text = "" }) {
    const load = await loads.of(ctx, drill);
    if (load === null) return { at_ms: null, acknowledged: 0 };
    return {
      at_ms: Math.round(load.phase(phase, text) / 1000),
      acknowledged: load.acknowledged,
    };
  },
});
