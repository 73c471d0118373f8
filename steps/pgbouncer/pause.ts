import { toPgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, ProbeResult, StepContext } from "../../engine/types.ts";
import type { PgbouncerAccess } from "../../providers/pgbouncer/contract.ts";
import { defineStep } from "../define.ts";
import { each, HOLDER, INSTANCES, meant, withinBounds } from "./ask/instances.ts";

export default defineStep({
  type: "pgbouncer.pause",
  summary: "Hold the clients of all PgBouncers back, once their transactions have ended",
  docs: `Asks the follower of each PgBouncer, all at once: new transactions wait, and the step is done when none is open any more. Where they do not
end within \`wait\`, all clients go on and it fails with \`timeout\`; so it does when one of several PgBouncers can't be paused. After \`cap\` the
followers let clients go by themselves, whatever has become of this run; asked again, the cap begins anew. Taken back, clients go on.
With \`until_primary\` each follower lets clients go as soon as that member leads on a later timeline than the one that they were held back on.

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
      until_primary: {
        type: "string",
        minLength: 1,
        maxLength: 200,
        description: "The member that is to take over: they go on there as soon as it leads",
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
    const { holder = ctx.run.id, cap = "30s", wait = "10s", until_primary: untilPrimary } = input;
    const capMs = withinBounds("cap", parseDuration(cap));
    const waitMs = withinBounds("wait", parseDuration(wait));
    const pgbouncer = await ctx.use("pgbouncer");
    const paused = meant(pgbouncer, input.instances);
    try {
      await each(paused, (name) => pgbouncer.pause(name, { holder, capMs, waitMs, untilPrimary }));
    } catch (error) {
      // All or none: through the others clients would write on.
      const left = await letGo(pgbouncer, paused, holder);
      if (left.length === 0) ctx.unchanged();
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
  async undo(ctx, { holder = ctx.run.id, instances, cap = "30s" }) {
    const pgbouncer = await ctx.use("pgbouncer");
    const names = meant(pgbouncer, instances);
    const states = await Promise.all(
      names.map((name) => pgbouncer.follower(name).catch(() => null)),
    );
    const held = names.filter((_, at) => states[at]?.paused?.holder === holder);
    const silent = names.filter((_, at) => states[at] === null);
    if (held.length === 0 && silent.length === 0) return ctx.unchanged();
    const left = [...silent, ...(await letGo(pgbouncer, held, holder))];
    if (left.length > 0)
      ctx.warn(
        `The followers of ${left.join(", ")} could not be asked: if they hold clients back, they let them go by themselves after ${cap}`,
      );
  },
});

/** Gives those that could not be asked; one that another holds is let alone, and so is one that was never told. */
async function letGo(
  pgbouncer: PgbouncerAccess,
  names: readonly string[],
  holder: string,
): Promise<string[]> {
  const left: string[] = [];
  await Promise.all(
    names.map(async (name) => {
      try {
        await pgbouncer.resume(name, holder);
      } catch (error) {
        const { code, nothingDone } = toPgdbaError(error);
        if (code !== "step_refused" && nothingDone !== true) left.push(name);
      }
    }),
  );
  return left;
}

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
