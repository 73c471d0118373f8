import { defineStep } from "../define.ts";
import { each, HOLDER, INSTANCES, meant } from "./ask/instances.ts";

export default defineStep({
  type: "pgbouncer.resume",
  summary: "Let the clients of all PgBouncers go on",
  docs: `They go to the primary of now: the followers wait a short time for one. It is refused where somebody else than \`holder\` holds them back,
and has nothing to do where nobody does. It is not taken back.`,
  example: `- pgbouncer.resume: {}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["pgbouncer"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: { instances: INSTANCES, holder: HOLDER },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["resumed", "routes"],
    properties: {
      resumed: {
        type: "array",
        items: { type: "string" },
        description: "Those whose clients were held back",
      },
      routes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["instance", "member"],
          properties: {
            instance: { type: "string" },
            member: {
              type: ["string", "null"],
              description:
                "Where clients go now; null while no member leads, and they wait for one",
            },
          },
        },
      },
    },
  },
  async run(ctx, { instances, holder = ctx.run.id }) {
    const pgbouncer = await ctx.use("pgbouncer");
    const names = meant(pgbouncer, instances);
    const before = await Promise.all(
      names.map((name) => pgbouncer.follower(name).catch(() => null)),
    );
    // Also where nobody seems to be held back: the answer says whether clients go on.
    await each(names, (name) => pgbouncer.resume(name, holder));
    const after = await Promise.all(
      names.map((name) => pgbouncer.follower(name).catch(() => null)),
    );
    // Somebody may have held them back at the console, which no follower has a name for.
    const resumed = names.filter(
      (_, at) =>
        before[at]?.paused != null ||
        (before[at]?.clients === "wait" && after[at]?.clients === "go on"),
    );
    if (resumed.length === 0) ctx.unchanged();
    const routes = names.map((instance, at) => ({
      instance,
      member: after[at]?.route?.member ?? null,
    }));
    return { resumed, routes };
  },
  async plan(ctx, { instances }) {
    return { would_resume: meant(await ctx.use("pgbouncer"), instances) };
  },
});
