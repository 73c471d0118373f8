import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { assertKnown } from "./watch/known.ts";
import {
  checked,
  creatorOf,
  end,
  inWords,
  matchersOf,
  orWarn,
  partsOf,
  put,
  type Silence,
  silencesOf,
  type Wish,
} from "./watch/silences.ts";

const NAMES = { type: "array", items: { type: "string", minLength: 1, maxLength: 200 } } as const;
const NOT_IN_FORCE = "Alerts that this work causes are not silenced";

interface Group extends Wish {
  for?: string | undefined;
}

export default defineStep({
  type: "monitor.silence",
  summary: "Silence alerts of this cluster in Alertmanager for some time",
  docs: `Each group of \`of\` names alerts, and the members that they may be about; without alerts all are meant that may be silenced, without members each of the cluster and the
cluster as a whole. Two primaries, checksum failures, disks and the watchdog are never silenced, and a missing leader for 15 minutes at most. Every silence has an end.

Alerts that look back (\`LeaderChanged\`, \`PostgresRestarted\`) have a silence of their own: \`monitor.unsilence\` lets it end once they no longer look at the work.

An alert that neither a rule nor Alertmanager knows is refused, for the silence would keep nothing from being told; a member that is not watched is a warning.

With \`optional\`, for work that must go on, neither is asked, and an Alertmanager that does not answer is a warning. Taken back, what it silenced is told again.`,
  example: `- monitor.silence:
    of: [{alerts: [ReplicationLag], members: [pg2]}]
    for: 30m
    why: pg2 is copied anew
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["monitoring"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["of", "for", "why"],
    properties: {
      of: {
        type: "array",
        minItems: 1,
        items: {
          type: "object",
          additionalProperties: false,
          properties: {
            alerts: NAMES,
            members: { ...NAMES, description: "The label `instance` of the alerts" },
            for: { type: "string", format: "duration", description: "Of this group alone" },
          },
        },
      },
      for: { type: "string", format: "duration", description: "It ends by itself after this" },
      why: { type: "string", minLength: 1, description: "The comment that whoever sees it reads" },
      optional: { type: "boolean", default: false },
    },
  },
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
          required: ["id", "matchers", "ends_at"],
          properties: {
            id: { type: "string" },
            matchers: { type: "string" },
            ends_at: { type: "string" },
          },
        },
      },
    },
  },
  async run(ctx, input) {
    const { why, optional = false } = input;
    const wanted = wishesOf(input);
    return orWarn(ctx, optional, NOT_IN_FORCE, { silences: [] }, async () => {
      const monitoring = await ctx.use("monitoring");
      const cluster = ctx.target.cluster!;
      if (!optional) await assertKnown(ctx, input.of);
      const own = await ofThisStep(ctx);
      const silences = [];
      for (const { wish, forMs } of wanted) {
        const matchers = matchersOf(cluster, wish);
        const words = inWords(matchers);
        const before = own.find((one) => inWords(one.matchers) === words);
        const now = ctx.clock.now().getTime();
        const endsAt = new Date(now + forMs).toISOString();
        const silence = {
          ...(before === undefined ? {} : { id: before.id }),
          matchers,
          // With another begin Alertmanager would end it, and make one with another id.
          startsAt: before?.startsAt ?? new Date(now).toISOString(),
          endsAt,
          createdBy: creatorOf(ctx.run.id),
          comment: commentOf(ctx, why),
        };
        silences.push({ id: await put(monitoring, silence), matchers: words, ends_at: endsAt });
      }
      return { silences };
    });
  },
  async plan(ctx, input): Promise<Json> {
    const cluster = ctx.target.cluster!;
    return {
      silences: wishesOf(input).map(({ wish }) => inWords(matchersOf(cluster, wish))),
      for: input.for,
    };
  },
  async undo(ctx) {
    // It ends by itself: that it can't be ended now must not keep anything else from being taken back.
    await orWarn(ctx, true, "The silences end by themselves", undefined, async () => {
      const monitoring = await ctx.use("monitoring");
      const own = await ofThisStep(ctx);
      for (const { id } of own) await end(monitoring, id);
      if (own.length === 0) ctx.unchanged();
    });
  },
});

/** @throws PgdbaError invalid_param */
function wishesOf(input: { of: readonly Group[]; for: string }): { wish: Wish; forMs: number }[] {
  return input.of.flatMap((group) => {
    const forMs = parseDuration(group.for ?? input.for);
    checked(group, forMs);
    return partsOf(group).map((wish) => ({ wish, forMs }));
  });
}

/** By the comment a later process finds what an earlier one of the same run has put in force. */
function commentOf(ctx: StepContext, why: string): string {
  return `${why} (${ctx.step.path})`;
}

async function ofThisStep(ctx: StepContext): Promise<Silence[]> {
  const monitoring = await ctx.use("monitoring");
  const all = await silencesOf(monitoring, ctx.target.cluster!);
  return all.filter(
    ({ createdBy, comment }) =>
      createdBy === creatorOf(ctx.run.id) && comment.endsWith(`(${ctx.step.path})`),
  );
}
