import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, ProbeResult, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { each, HOLDER, INSTANCES, meant, withinBounds } from "./ask/instances.ts";

export default defineStep({
  type: "pgbouncer.pause",
  summary: "Hold the clients of all PgBouncers back, once their transactions have ended",
  docs: `Asks the follower of each PgBouncer, all at once: new transactions wait, and the step is done when none is open any more. Where they do not
end within \`wait\`, all clients go on and it fails with \`timeout\`; so it does when one of several PgBouncers can't be paused. After \`cap\` the
followers let clients go by themselves, whatever has become of this run; asked again, the cap begins anew. Taken back, clients go on.

Without a follower it is refused: nothing would let clients go. PgBouncer cuts off who waits longer than its \`query_wait_timeout\`.`,
  example: `- pgbouncer.pause: {cap: 30s, wait: 5s}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  locks: "none",
  needs: ["pgbouncer"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      instances: INSTANCES,
      holder: HOLDER,
      cap: {
        type: "string",
        format: "duration",
        default: "30s",
        description: "They go on by themselves after this, counted from when they begin to wait",
      },
      wait: {
        type: "string",
        format: "duration",
        default: "10s",
        description: "How long open transactions are given to end",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["paused", "holder"],
    properties: {
      paused: { type: "array", items: { type: "string" } },
      holder: { type: "string" },
    },
  },
  async run(ctx, input) {
    const { holder = ctx.run.id, cap = "30s", wait = "10s" } = input;
    const capMs = withinBounds("cap", parseDuration(cap));
    const waitMs = withinBounds("wait", parseDuration(wait));
    const pgbouncer = await ctx.use("pgbouncer");
    const paused = meant(pgbouncer, input.instances);
    try {
      await each(paused, (name) => pgbouncer.pause(name, { holder, capMs, waitMs }));
    } catch (error) {
      // All or none: through the others clients would write on.
      await Promise.allSettled(paused.map((name) => pgbouncer.resume(name, holder)));
      throw error;
    }
    return { paused, holder };
  },
  async plan(ctx, input): Promise<Json> {
    const pgbouncer = await ctx.use("pgbouncer");
    const now = await held(ctx, input);
    return { would_pause: meant(pgbouncer, input.instances), now: now as Json };
  },
  async probe(ctx, input): Promise<ProbeResult> {
    const { holder = ctx.run.id } = input;
    const now = await held(ctx, input);
    const all = now.every((one) => one.holder === holder);
    const paused = now.map(({ instance }) => instance);
    return all ? { state: "done", output: { paused, holder } } : { state: "not_done" };
  },
  async undo(ctx, { holder = ctx.run.id, instances }) {
    const pgbouncer = await ctx.use("pgbouncer");
    const now = (await held(ctx, { instances })).filter((one) => one.holder === holder);
    if (now.length === 0) return ctx.unchanged();
    await each(
      now.map(({ instance }) => instance),
      (name) => pgbouncer.resume(name, holder),
    );
  },
});

async function held(
  ctx: StepContext,
  { instances }: { instances?: readonly string[] | undefined },
) {
  const pgbouncer = await ctx.use("pgbouncer");
  return Promise.all(
    meant(pgbouncer, instances).map(async (instance) => {
      const state = await pgbouncer.follower(instance);
      return { instance, holder: state?.paused?.holder ?? null };
    }),
  );
}
