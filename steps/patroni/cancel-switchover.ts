import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { SCHEDULED } from "./schema.ts";

export default defineStep({
  type: "patroni.cancel-switchover",
  summary: "Take back a switchover that is scheduled",
  example: `- patroni.cancel-switchover: {}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "roles",
  needs: ["patroni"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["cancelled"],
    properties: { cancelled: { ...SCHEDULED, description: "Null when none was scheduled" } },
  },
  async run(ctx) {
    const client = await ctx.use("patroni");
    const { scheduled_switchover: scheduled } = await client.cluster(ctx.signal);
    const cancelled = await client.cancelSwitchover(ctx.signal);
    if (!cancelled) ctx.unchanged();
    return { cancelled: cancelled ? scheduled : null };
  },
  async plan(ctx): Promise<Json> {
    const { scheduled_switchover } = await (await ctx.use("patroni")).cluster(ctx.signal);
    return { scheduled: scheduled_switchover && { ...scheduled_switchover } };
  },
});
