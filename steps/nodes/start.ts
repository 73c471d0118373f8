import { parseDuration } from "../../engine/shared/units.ts";
import type { Json } from "../../engine/types.ts";
import type { Running } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { assertMayStart } from "../second-primary.ts";
import { NODE } from "./schema.ts";

interface Before {
  was: Running;
}

export default defineStep({
  type: "nodes.start",
  summary: "Start what a node runs, and wait until it takes connections",
  docs: `A standby is waited for until it is consistent. A node that runs already is left as it is, and is not stopped when the run is
taken back. A primary is refused while another node of the cluster is one, or was one when it was stopped.`,
  example: `- nodes.start: {node: pg2}
`,
  effect: "change",
  idempotent: true,
  // It is begun at once; the rest is waiting, for as long as a recovery takes.
  interruptible: true,
  needs: ["nodes"],
  gives: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: NODE,
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
  async run(ctx, { node, timeout = "1m" }) {
    const nodes = await ctx.use("nodes");
    const { running, why } = await nodes.state(node);
    // As the first attempt found it: a later one finds what that has done.
    const { was } = (ctx.noted as Before | undefined) ?? { was: running };
    ctx.note({ was });
    // One that is shutting down is started again once it is down.
    if (running === "running" && why === undefined) ctx.unchanged();
    else await assertMayStart(nodes, node, (message) => ctx.warn(message));
    await nodes.start(node, { timeoutMs: parseDuration(timeout) });
    return { node, was };
  },
  async plan(ctx, { node }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { node, now: (await nodes.state(node)).running };
  },
  async undo(ctx, { node }) {
    if ((ctx.noted as Before | undefined)?.was === "running") return ctx.unchanged();
    const nodes = await ctx.use("nodes");
    await nodes.stop(node, "fast");
  },
});
