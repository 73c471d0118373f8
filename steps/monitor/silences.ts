import { defineStep } from "../define.ts";
import { inWords, silencesOf } from "./watch/silences.ts";

export default defineStep({
  type: "monitor.silences",
  summary: "The silences of Alertmanager that this cluster's alerts may fall under",
  docs: `Those that are in force or begin later, also such as somebody has made by hand.`,
  example: `- monitor.silences: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["monitoring"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["silences"],
    properties: {
      silences: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["id", "state", "matchers", "begins_at", "ends_at", "by", "why"],
          properties: {
            id: { type: "string" },
            state: { type: "string", enum: ["active", "pending"] },
            matchers: { type: "string" },
            begins_at: { type: "string" },
            ends_at: { type: "string" },
            by: { type: "string" },
            why: { type: "string" },
          },
        },
      },
    },
  },
  async run(ctx) {
    const monitoring = await ctx.use("monitoring");
    const all = await silencesOf(monitoring, ctx.target.cluster!);
    return {
      silences: all.map(({ id, status, matchers, startsAt, endsAt, createdBy, comment }) => ({
        id,
        state: status.state,
        matchers: inWords(matchers),
        begins_at: startsAt,
        ends_at: endsAt,
        by: createdBy,
        why: comment,
      })),
    };
  },
});
