import { defineStep } from "../define.ts";
import { keepMove, removeMove } from "./moves/moves.ts";

export default defineStep({
  type: "failover.record",
  summary: "Keep who led when the run began, so that failover/rollback can bring the role back",
  docs: `It stands in \`moves/\` of the state folder. Undo takes it away.`,
  example: `- failover.record: {from: pg1, to: pg2}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["from", "to"],
    properties: {
      from: { type: ["string", "null"], description: "The member that leads" },
      to: { type: "string", description: "The member that will lead" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["file"],
    properties: { file: { type: "string" } },
  },
  async run(ctx, { from, to }) {
    return { file: await keepMove(ctx, { from, to }) };
  },
  async plan(_ctx, { from, to }) {
    return { from, to };
  },
  async undo(ctx) {
    await removeMove(ctx.run.stateDir, ctx.run.id);
  },
});
