import { defineStep } from "../define.ts";
import { NODE } from "./schema.ts";

export default defineStep({
  type: "nodes.death",
  summary: "Tell whether a node is proven dead",
  docs: `Asks whoever has power over the node: nothing of it runs, and nothing will before it is started. A time that ran out and a node that does not
answer prove nothing.`,
  example: `- nodes.death: {node: pg1}
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: { node: NODE },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "proven", "how"],
    properties: {
      node: { type: "string" },
      proven: { type: "boolean" },
      how: { type: "string", description: "How it was proven, or why it was not" },
    },
  },
  async run(ctx, { node }) {
    const death = await (await ctx.use("nodes")).death(node);
    return { node, proven: death.proven, how: death.proven ? death.how : death.why };
  },
});
