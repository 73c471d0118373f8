import { parseDuration } from "../../engine/shared/units.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { assertMayStart } from "../second-primary.ts";
import { NODE } from "./schema.ts";

export default defineStep({
  type: "nodes.stop",
  summary: "Stop what a node runs",
  docs: `\`fast\` ends the sessions and writes a checkpoint, and a primary sends the last of its WAL to the standbys that are connected.
\`immediate\` does neither, so that the next start begins with a recovery. A node that is stopped already is left as it is. Taken back, the node is
started, unless it would be a second primary.`,
  example: `- nodes.stop: {node: pg1}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  needs: ["nodes"],
  takes: ["postgres", "primary"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: NODE,
      mode: { enum: ["fast", "immediate"], default: "fast" },
      timeout: { type: "string", format: "duration", default: "1m" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "was"],
    properties: {
      node: { type: "string" },
      was: { type: "string", description: "Its state before" },
    },
  },
  async run(ctx, { node, mode = "fast", timeout = "1m" }) {
    const nodes = await ctx.use("nodes");
    const { running } = await nodes.state(node);
    if (running === "stopped") ctx.unchanged();
    else await nodes.stop(node, mode, { timeoutMs: parseDuration(timeout) });
    return { node, was: running };
  },
  async plan(ctx, { node }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { node, now: (await nodes.state(node)).running };
  },
  async undo(ctx, { node }, output) {
    if (output?.was === "stopped") return ctx.unchanged();
    const nodes = await ctx.use("nodes");
    const { running, why } = await nodes.state(node);
    // The primary may be another one by now.
    if (running !== "running" || why !== undefined)
      await assertMayStart(nodes, node, (message) => ctx.warn(message));
    await nodes.start(node);
  },
});
