import type { Json } from "../../engine/types.ts";
import type { TlsWish } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { NODE, TLS } from "./schema.ts";

export default defineStep({
  type: "nodes.certify",
  summary: "Give a node a new certificate, without a restart",
  docs: `Key and certificate are made anew and signed by the cluster's authority, which never leaves this machine. The services of the node are told and take
it for new connections; those that are open go on. A node that is down takes it when it starts. It can't be taken back, and need not be: the old one
is as good as the new one for as long as it lasts.`,
  example: `- nodes.certify:
    node: pg1
    tls: {authority: ca}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "tls"],
    properties: { node: NODE, tls: TLS },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "not_after"],
    properties: {
      node: { type: "string" },
      not_after: { type: "string", description: "Until when it is good" },
    },
  },
  async run(ctx, { node, tls }) {
    const nodes = await ctx.use("nodes");
    const { notAfter } = await nodes.certify(node, tls as unknown as TlsWish);
    return { node, not_after: notAfter };
  },
  async plan(ctx, { node }): Promise<Json> {
    return { node, now: (await (await ctx.use("nodes")).state(node)).running };
  },
});
