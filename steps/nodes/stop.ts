import { parseDuration } from "../../engine/shared/units.ts";
import type { Json } from "../../engine/types.ts";
import type { Running } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { assertMayStart, assertNotBehind } from "../second-primary.ts";
import { onPurpose } from "./on-purpose.ts";
import { NODE } from "./schema.ts";

interface Before {
  was: Running;
}

export default defineStep({
  type: "nodes.stop",
  summary: "Stop what a node runs",
  docs: `\`fast\` ends the sessions and writes a checkpoint, and a primary sends the last of its WAL to the standbys that are connected.
\`immediate\` does neither, so that the next start begins with a recovery. A node that is stopped already is left as it is. Taken back, the node is
started, unless it would be a second primary, or one that lacks what another one has, which is down. While it stops, a guard of the leader is told that this is
on purpose.`,
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
    // As the first attempt found it: a later one finds what that has done.
    const { was } = (ctx.noted as Before | undefined) ?? { was: running };
    ctx.note({ was });
    if (running === "stopped") ctx.unchanged();
    else {
      const stop = () => nodes.stop(node, mode, { timeoutMs: parseDuration(timeout) });
      const info = (await nodes.list()).find((one) => one.node === node);
      // Only a leader by Patroni's key is guarded.
      await (info?.endpoints.patroni === undefined ? stop() : onPurpose(nodes, ctx.run.id, stop));
    }
    return { node, was };
  },
  async plan(ctx, { node }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { node, now: (await nodes.state(node)).running };
  },
  async undo(ctx, { node }) {
    if ((ctx.noted as Before | undefined)?.was === "stopped") return ctx.unchanged();
    const nodes = await ctx.use("nodes");
    const { running, why } = await nodes.state(node);
    // The primary may be another one by now.
    if (running !== "running" || why !== undefined) {
      await assertMayStart(nodes, node, (message) => ctx.warn(message));
      await assertNotBehind(nodes, node);
    }
    await nodes.start(node);
  },
});
