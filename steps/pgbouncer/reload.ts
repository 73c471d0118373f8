import { defineStep } from "../define.ts";
import { each, INSTANCES, meant } from "./ask/instances.ts";

export default defineStep({
  type: "pgbouncer.reload",
  summary: "Have PgBouncers read their configuration anew",
  docs: `What it changes holds for new connections to servers; those that are open and belong to a database that is reached elsewhere now are closed
as soon as they are released. Before 1.22 PgBouncer says yes also when its files are wrong, and keeps what it had: look at its log.`,
  example: `- pgbouncer.reload: {}
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
    required: ["reloaded"],
    properties: { reloaded: { type: "array", items: { type: "string" } } },
  },
  async run(ctx, { instances }) {
    const pgbouncer = await ctx.use("pgbouncer");
    const reloaded = meant(pgbouncer, instances);
    await each(reloaded, (name) => pgbouncer.reload(name));
    return { reloaded };
  },
  async plan(ctx, { instances }) {
    return { would_reload: meant(await ctx.use("pgbouncer"), instances) };
  },
});
