import { lsnText } from "../../providers/postgres/lsn.ts";
import { defineStep } from "../define.ts";

export default defineStep({
  type: "patroni.history",
  summary: "Read when the leader changed, and where each timeline ended",
  docs: `Oldest first; up to one loop of Patroni old. The line of a timeline says where it ended, why, and who began the next
one. Times and names are known only for what Patroni itself has seen, names from Patroni 3.0 on.`,
  example: `- patroni.history: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["patroni"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["lines"],
    properties: {
      lines: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["timeline", "lsn", "reason", "at", "leader"],
          properties: {
            timeline: { type: "integer", description: "The one that ended" },
            lsn: { type: "string", description: "Where it ended" },
            reason: { type: "string" },
            at: { type: ["string", "null"], description: "When the next one began" },
            leader: { type: ["string", "null"], description: "The member that began it" },
          },
        },
      },
    },
  },
  async run(ctx) {
    const lines = await (await ctx.use("patroni")).history(ctx.signal);
    return { lines: lines.map(({ lsn, ...line }) => ({ ...line, lsn: lsnText(BigInt(lsn)) })) };
  },
});
