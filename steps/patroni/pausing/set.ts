import { PgdbaError } from "../../../engine/errors.ts";
import type { Json, JsonObject, StepContext } from "../../../engine/types.ts";

export const PAUSED = {
  type: "object",
  additionalProperties: false,
  required: ["pause", "already", "silent"],
  properties: {
    pause: { type: "boolean" },
    already: { type: "boolean", description: "It was so before" },
    silent: {
      type: "array",
      items: { type: "string" },
      description: "Members that do not answer; they take it when they see the store again",
    },
  },
} as const;

/** Pauses, or ends the pause, and keeps how it was before. @throws PgdbaError step_failed naming the members that have not taken it */
export async function setPause(ctx: StepContext, pause: boolean): Promise<JsonObject> {
  const client = await ctx.use("patroni");
  // Of a first attempt, which may have changed it.
  const noted = (ctx.noted as { was?: boolean } | undefined)?.was;
  const was = noted ?? (await client.cluster(ctx.signal)).pause;
  if (noted === undefined) ctx.note({ was });
  const { behind, silent } = pause
    ? await client.pause(ctx.signal)
    : await client.resume(ctx.signal);
  if (behind.length > 0) {
    throw new PgdbaError(
      "step_failed",
      `${behind.join(", ")} ${pause ? "has not taken the pause" : "is still paused"}`,
      { hint: "Patroni's log there says why: does it reach the store?", data: { behind } },
    );
  }
  if (silent.length > 0)
    ctx.warn(
      `${silent.join(", ")} does not answer, and takes the ${pause ? "pause" : "end of the pause"} when it sees the store again`,
    );
  if (was === pause) ctx.unchanged();
  return { pause, already: was === pause, silent };
}

/** Puts it back as the step found it. */
export async function unsetPause(ctx: StepContext, pause: boolean): Promise<void> {
  const { was } = (ctx.noted ?? {}) as { was?: boolean };
  if (was === undefined || was === pause) return ctx.unchanged();
  const client = await ctx.use("patroni");
  if (was) await client.pause(ctx.signal);
  else await client.resume(ctx.signal);
}

export async function planPause(ctx: StepContext): Promise<Json> {
  return { paused_now: (await (await ctx.use("patroni")).cluster(ctx.signal)).pause };
}
