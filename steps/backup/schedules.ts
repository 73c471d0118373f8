import { stat } from "node:fs/promises";
import { join } from "node:path";
import { defineStep } from "../define.ts";
import { lastTime, nextTimes } from "./schedule/cron.ts";
import { entriesIn, readCrontab } from "./schedule/crontab.ts";

/** So long after its time a run counts as missed, when it has said nothing. */
const GRACE_MS = 10 * 60_000;

export default defineStep({
  type: "backup.schedules",
  summary: "List the schedules in the crontab, and tell which was missed",
  docs: `By age and not by mail: \`missed\` is true when the last time has passed by ten minutes and the command has said nothing since, whether cron does not
run, the machine was off, or the crontab was lost.`,
  example: `- backup.schedules: {}
`,
  effect: "read",
  idempotent: true,
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
          required: ["name", "cron", "timezone", "commands", "next", "due", "ran_at", "missed"],
          properties: {
            name: { type: "string" },
            cron: {
              type: ["string", "null"],
              description: "Null when somebody has changed its lines by hand",
            },
            timezone: { type: ["string", "null"] },
            commands: { type: "array", items: { type: "string" } },
            next: { type: ["string", "null"] },
            due: { type: ["string", "null"], description: "When it should have run last" },
            ran_at: { type: ["string", "null"], description: "When it last said something" },
            missed: { type: "boolean" },
          },
        },
      },
    },
  },
  async run(ctx) {
    const now = ctx.clock.now();
    const schedules = await Promise.all(
      entriesIn(await readCrontab(ctx)).map(async ({ name, entry }) => {
        if (entry === null)
          return {
            name,
            cron: null,
            timezone: null,
            commands: [],
            next: null,
            due: null,
            ran_at: null,
            missed: false,
          };
        const { cron, timezone, commands, added_at } = entry;
        // The shell empties this file before the command begins.
        const log = await stat(join(ctx.run.stateDir, "schedules", `${name}.log`)).catch(
          () => null,
        );
        const ran = log === null ? null : log.mtime;
        const last = lastTime(cron, timezone, now);
        const due = last !== null && last > new Date(added_at) ? last : null;
        const missed =
          due !== null && now.getTime() > due.getTime() + GRACE_MS && (ran === null || ran < due);
        return {
          name,
          cron,
          timezone,
          commands: commands.map((words) => ["pgdba", ...words].join(" ")),
          next: nextTimes(cron, timezone, now, 1)[0]?.toISOString() ?? null,
          due: due?.toISOString() ?? null,
          ran_at: ran?.toISOString() ?? null,
          missed,
        };
      }),
    );
    return { schedules };
  },
});
