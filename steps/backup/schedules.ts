import { defineStep } from "../define.ts";
import { lastTime, nextTimes } from "./schedule/cron.ts";
import type { Keeper, Kept } from "./schedule/keeper.ts";
import { allKept } from "./schedule/keepers.ts";

/** So long after its time a run counts as missed, when it has said nothing. */
const GRACE_MS = 10 * 60_000;

export default defineStep({
  type: "backup.schedules",
  summary:
    "List what is scheduled in the crontab and by a node of the target, and tell what was missed",
  docs: `By age and not by mail: \`missed\` is true when the last time has passed by ten minutes and the command has said nothing since, whether cron does not
run, the machine was off, or the crontab was lost. A node that keeps schedules puts down each time that it had to let pass, and why.`,
  example: `- backup.schedules: {}
`,
  effect: "read",
  idempotent: true,
  uses: ["nodes"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["schedules"],
    properties: {
      schedules: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "name",
            "where",
            "cron",
            "timezone",
            "commands",
            "next",
            "due",
            "ran_at",
            "said",
            "succeeded",
            "missed",
            "missed_at",
            "missed_count",
            "why",
          ],
          properties: {
            name: { type: "string" },
            where: { type: "string", description: "`crontab`, or the node that keeps it" },
            cron: {
              type: ["string", "null"],
              description: "Null when somebody has changed its lines by hand",
            },
            timezone: { type: ["string", "null"] },
            commands: { type: "array", items: { type: "string" } },
            next: {
              type: ["string", "null"],
              description: "Null also where the node that keeps it does not run",
            },
            due: { type: ["string", "null"], description: "When it should have run last" },
            ran_at: { type: ["string", "null"], description: "When it began last" },
            said: { type: ["string", "null"], description: "What the last run said at its end" },
            succeeded: { type: ["boolean", "null"] },
            missed: {
              type: "boolean",
              description: "The last time that is over has passed without a run",
            },
            missed_at: { type: ["string", "null"], description: "The last time that was missed" },
            missed_count: {
              type: "integer",
              description: "How many were missed, as far as it is known",
            },
            why: {
              type: ["string", "null"],
              description: "Why it was missed, or why nothing will run",
            },
          },
        },
      },
    },
  },
  async run(ctx) {
    const now = ctx.clock.now();
    return { schedules: (await allKept(ctx)).map((one) => rowOf(one, now)) };
  },
});

function rowOf({ keeper, kept }: { keeper: Keeper; kept: Kept }, now: Date) {
  const { name, entry, ranAt, said, missed: known } = kept;
  const last = entry === null ? null : lastTime(entry.cron, entry.timezone, now);
  const due = last !== null && last > new Date(entry!.added_at) ? last : null;
  const { halted } = keeper;
  const graceMs = halted === null ? GRACE_MS : 0;
  const isLate =
    due !== null && now.getTime() > due.getTime() + graceMs && (ranAt === null || ranAt < due);
  // One that ran since then has nothing more to tell of it.
  const isKnown = known !== null && (ranAt === null || ranAt < new Date(known.at));
  return {
    name,
    where: keeper.where,
    cron: entry?.cron ?? null,
    timezone: entry?.timezone ?? null,
    commands: (entry?.commands ?? []).map((words) => ["pgdba", ...words].join(" ")),
    next:
      entry === null || halted !== null
        ? null
        : (nextTimes(entry.cron, entry.timezone, now, 1)[0]?.toISOString() ?? null),
    due: due?.toISOString() ?? null,
    ran_at: ranAt?.toISOString() ?? null,
    said: said?.message ?? null,
    succeeded: said?.success ?? null,
    missed: isLate || isKnown,
    missed_at: isLate ? due.toISOString() : (known?.at ?? null),
    missed_count: known?.count ?? (isLate ? 1 : 0),
    why: halted ?? (isLate && !isKnown ? "it has said nothing since" : (known?.why ?? null)),
  };
}
