import type { Json } from "../../engine/types.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { removeScratch, scratchOf } from "./restore/scratch.ts";

export default defineStep({
  type: "backup.discard",
  summary: "Remove the scratch folder of this run",
  docs: "For an `always`: what is not there counts as removed. The server beside it is not touched.",
  example: `- backup.discard: {node: pg1}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: { node: { type: "string", minLength: 1 } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: { node: { type: "string" } },
  },
  async run(ctx, { node }) {
    const nodes = await ctx.use("nodes");
    const { postgres } = await nodes.facts(node);
    if (postgres !== null) await removeScratch(nodes, node, postgres.data, ctx.run.id);
    return { node };
  },
  async plan(ctx, { node }): Promise<Json> {
    const { postgres } = await (await ctx.use("nodes")).facts(node);
    return { node, removes: postgres && scratchOf(postgres.data, ctx.run.id) };
  },
  async undo(ctx) {
    ctx.unchanged();
  },
});
