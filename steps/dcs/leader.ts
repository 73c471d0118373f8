import { defineStep } from "../define.ts";
import { KEY } from "./key.ts";

export default defineStep({
  type: "dcs.leader",
  summary: "Read the leader key of this moment from the store of Patroni's state",
  docs: `Who holds it leads, or is about to. \`key\` is null while nobody does.`,
  example: `- dcs.leader: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["dcs"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["key"],
    properties: { key: { ...KEY, type: ["object", "null"] } },
  },
  async run(ctx) {
    const key = await (await ctx.use("dcs")).leader();
    if (key === null) return { key: null };
    const { ttlSeconds: ttl_seconds, ...rest } = key;
    return { key: { ...rest, ttl_seconds } };
  },
});
