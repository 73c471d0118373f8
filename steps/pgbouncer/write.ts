import { defineStep } from "../define.ts";
import { each, INSTANCES, meant } from "./ask/instances.ts";

export default defineStep({
  type: "pgbouncer.write",
  summary: "Write a record into the WAL through each PgBouncer",
  docs: `Proves that clients reach a primary that takes writes. No table is touched: the record is a logical message. \`lsn\` is the place after it; a
standby that has replayed so far has the write, too.`,
  example: `- pgbouncer.write: {}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["pgbouncer"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: { instances: INSTANCES },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["writes"],
    properties: {
      writes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["instance", "lsn", "ms"],
          properties: {
            instance: { type: "string" },
            lsn: { type: "string" },
            ms: { type: "number", description: "From the connection to the answer" },
          },
        },
      },
    },
  },
  async run(ctx, { instances }) {
    const pgbouncer = await ctx.use("pgbouncer");
    const writes: { instance: string; lsn: string; ms: number }[] = [];
    await each(meant(pgbouncer, instances), async (instance) => {
      const begun = ctx.clock.monotonic();
      const { lsn } = await pgbouncer.write(instance);
      writes.push({ instance, lsn, ms: Math.round(ctx.clock.monotonic() - begun) });
    });
    return { writes };
  },
  async plan(ctx, { instances }) {
    return { would_write_through: meant(await ctx.use("pgbouncer"), instances) };
  },
});
