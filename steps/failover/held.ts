import { defineStep } from "../define.ts";

export default defineStep({
  type: "failover.held",
  summary:
    "Tell whether the followers still hold the clients of all PgBouncers back, on behalf of this run",
  docs: `For a read that is \`fresh\`: after a crash they may have let clients go by themselves.`,
  example: `- failover.held: {}
  fresh: true
`,
  effect: "read",
  idempotent: true,
  needs: ["pgbouncer"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      instances: { type: "array", items: { type: "string" }, description: "All without it" },
      or_at: {
        type: "string",
        description:
          "Clients that nobody holds back any more and that go to this member count, too",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["held", "others"],
    properties: {
      held: { type: "boolean" },
      others: {
        type: "array",
        items: { type: "string" },
        description: "Those whose clients are not held back by this run",
      },
    },
  },
  async run(ctx, { instances, or_at: at }) {
    const pgbouncer = await ctx.use("pgbouncer");
    const names = instances ?? pgbouncer.instances.map(({ name }) => name);
    const told = await Promise.all(
      names.map(async (name) => {
        const state = await pgbouncer.follower(name);
        const isThere = state?.paused === null && at !== undefined && state.route?.member === at;
        return { name, held: state?.paused?.holder === ctx.run.id || isThere };
      }),
    );
    const others = told.filter(({ held }) => !held).map(({ name }) => name);
    return { held: others.length === 0, others };
  },
});
