import { defineStep } from "../define.ts";

export default defineStep({
  type: "dcs.scopes",
  summary: "List the clusters whose state the same store keeps",
  docs: `All scopes under the namespace of this cluster: whoever breaks the store breaks them all. The keys of other namespaces, and of others than Patroni, are
not looked at.`,
  example: `- id: shared
  dcs.scopes: {}
- assert:
    that: size(steps.shared.output.others) == 0
    message: the store keeps other clusters, too
`,
  effect: "read",
  idempotent: true,
  needs: ["dcs"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["own", "others"],
    properties: {
      own: { type: "string" },
      others: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx) {
    const dcs = await ctx.use("dcs");
    return { own: dcs.scope, others: (await dcs.scopes()).filter((name) => name !== dcs.scope) };
  },
});
