import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { KEY } from "./key.ts";

export default defineStep({
  type: "dcs.remove-leader",
  summary:
    "Remove the leader key of a member that is proven dead, so that another takes over at once",
  docs: `Only when it is still the key that \`dcs.leader\` gave, with the same holder, and has not been renewed since; \`removed\` is false otherwise, and nothing
was changed. Patroni renews the lease and not the key, so a renewal is told by the time that the lease has left, in whole seconds.

The holder must be dead or fenced **before** the key is read: one that lives would go on writing for up to one loop while another is promoted.
In synchronous mode Patroni's rules about who may lead stay in force.`,
  example: `- id: held
  dcs.leader: {}
- dcs.remove-leader: {key: "\${steps.held.output.key}"}
`,
  effect: "change",
  // A key that is gone, or another one, is left alone.
  idempotent: true,
  risk: "disruptive",
  locks: "roles",
  needs: ["dcs"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["key"],
    properties: { key: KEY },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["removed"],
    properties: { removed: { type: "boolean" } },
  },
  async run(ctx, { key }) {
    const { ttl_seconds: ttlSeconds, ...rest } = key;
    const removed = await (await ctx.use("dcs")).removeLeader({ ...rest, ttlSeconds });
    if (!removed) ctx.unchanged();
    return { removed };
  },
  async plan(ctx): Promise<Json> {
    const key = await (await ctx.use("dcs")).leader();
    return { holds_now: key?.holder ?? null };
  },
});
