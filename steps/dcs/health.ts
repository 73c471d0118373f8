import { defineStep } from "../define.ts";

const TEXT = { type: ["string", "null"] } as const;

export default defineStep({
  type: "dcs.health",
  summary:
    "Ask each member of the store of Patroni's state how it is, and whether a majority agrees",
  docs: `A store that does not answer is no error here: \`quorum\` is false. \`revision\` is from a read that a majority has confirmed.`,
  example: `- id: store
  dcs.health: {}
- assert:
    that: steps.store.output.quorum
    message: the store of Patroni's state has no majority
`,
  effect: "read",
  idempotent: true,
  needs: ["dcs"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["quorum", "revision", "members", "alarms"],
    properties: {
      quorum: { type: "boolean", description: "A majority answers and agrees" },
      revision: TEXT,
      alarms: { type: "array", items: { type: "string" }, description: "Such as `NOSPACE`" },
      members: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "endpoint", "reachable", "why", "leader", "version", "db_bytes"],
          properties: {
            name: { type: "string" },
            endpoint: TEXT,
            reachable: { type: "boolean" },
            why: { ...TEXT, description: "Why it is not reached" },
            leader: { type: "boolean", description: "It leads the store" },
            version: TEXT,
            db_bytes: { type: ["number", "null"] },
          },
        },
      },
    },
  },
  async run(ctx) {
    const { members, ...health } = await (await ctx.use("dcs")).health();
    return {
      ...health,
      members: members.map(({ dbBytes, ...one }) => ({ ...one, db_bytes: dbBytes })),
    };
  },
});
