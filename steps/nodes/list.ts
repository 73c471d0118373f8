import type { JsonObject } from "../../engine/types.ts";
import type { NodeInfo } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { NODE_LIST } from "./schema.ts";

export default defineStep({
  type: "nodes.list",
  summary: "List the nodes of the cluster and the state of each",
  docs: `Asks the place where the nodes live, and none of the servers: it works when everything is down. A node that can't be asked is
\`unknown\`, and \`why\` says the reason.`,
  example: `- nodes.list: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["nodes"],
    properties: { nodes: NODE_LIST },
  },
  async run(ctx) {
    const nodes = await ctx.use("nodes");
    return { nodes: (await nodes.list()).map(shown) };
  },
});

export function shown({ node, roles, made, state, address, reach, endpoints, labels }: NodeInfo) {
  return {
    node,
    roles,
    made,
    running: state.running,
    why: state.why ?? null,
    address: address && { ...address },
    reach: reach && { ...reach },
    endpoints: structuredClone(endpoints) as JsonObject,
    run: labels.run,
  };
}
