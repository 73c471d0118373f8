import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { NODE } from "./schema.ts";

export default defineStep({
  type: "nodes.fence",
  summary: "See that a node is dead and stays so until it is started",
  docs: `What still runs of it is killed by whoever has power over it (the container engine, a power controller), nobody starts it again by itself, and
both are proven. It fails where that can't be proven: a node that does not answer is not dead. Taken back, the node is started.`,
  example: `- nodes.fence: {node: pg1}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  needs: ["nodes"],
  takes: ["primary"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: { node: NODE },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "how"],
    properties: {
      node: { type: "string" },
      how: { type: "string", description: "How it was proven" },
    },
  },
  async run(ctx, { node }) {
    const death = await (await ctx.use("nodes")).fence(node);
    if (death.proven) return { node, how: death.how };
    throw new PgdbaError("step_failed", `Nobody can prove that ${node} is dead: ${death.why}`, {
      hint: "It may still be writing. Look at the machine, and cut its power or its network by hand.",
    });
  },
  async plan(ctx, { node }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { node, now: (await nodes.state(node)).running, ...(await nodes.death(node)) };
  },
  async undo(ctx, { node }) {
    await (await ctx.use("nodes")).start(node);
  },
});
