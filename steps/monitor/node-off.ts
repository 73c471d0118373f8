import { changeCluster } from "../../providers/registry/write.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { isNeededSince } from "./account.ts";
import { entryOf } from "./node/entry.ts";

export default defineStep({
  type: "monitor.node-off",
  summary: "Take back the node that this run has made to watch the cluster",
  docs: `The node goes with its volumes, by the run's label, and the entry names it no more. Where another run has set monitoring up since, with this node, it stays: \`watched\` says
whether anybody watched when this run began.`,
  example: `- monitor.node-off: {node: monitor1, watched: false}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "watched"],
    properties: { node: { type: "string", minLength: 1 }, watched: { type: "boolean" } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["removed"],
    properties: { removed: { type: "boolean" } },
  },
  async run(ctx, { node, watched }) {
    const { name: cluster, data } = await entryOf(ctx);
    if (isNeededSince(ctx, watched, data)) {
      ctx.unchanged();
      return { removed: false };
    }
    const nodes = await ctx.use("nodes");
    const others = (await nodes.list()).map((one) => one.node).filter((one) => one !== node);
    const removed = await nodes.deprovision({ run: ctx.run.id, but: others });
    if (removed.length === 0) ctx.unchanged();
    else
      await changeCluster(ctx.run.stateDir, cluster, (before) => ({
        ...before!.data,
        nodes: (before!.data.nodes ?? []).filter(({ name }) => name !== node),
      }));
    return { removed: removed.length > 0 };
  },
  async plan(_ctx, { node }): Promise<Json> {
    return { node };
  },
});
