import { defineStep } from "../define.ts";
import { nextTimes } from "./schedule/cron.ts";
import { changeCrontab, changed, entriesIn, jobOf, readCrontab } from "./schedule/crontab.ts";
import { entryOf, ownProgram, type ScheduleInput } from "./schedule/entry.ts";
import type { StepContext } from "../../engine/types.ts";

export default defineStep({
  type: "backup.schedule-add",
  summary: "Have cron run pgdba at given times",
  docs: `The commands stand in the crontab of the user that runs pgdba, between two marks; other lines are not touched, and one of the same name is replaced. They
are done one after the other for as long as they succeed, with the flags that name the target of this run. The crontab goes by the time of the machine: a time zone in
which the expression fires at other moments is refused. cron has no environment: passwords must come from files.`,
  example: `- backup.schedule-add:
    cron: 0 2 * * *
    commands: [[backup, create, --type, full], [backup, expire, --keep-full, 3, --yes]]
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["cron", "commands"],
    properties: {
      name: {
        type: ["string", "null"],
        description: "Made of the command and the target without this",
      },
      cron: { type: "string", minLength: 1, description: "Five fields, or @daily and the like" },
      timezone: { type: ["string", "null"], description: "That of the machine without this" },
      commands: {
        type: "array",
        minItems: 1,
        items: { type: "array", minItems: 1, items: { type: ["string", "number"] } },
        description: "The words after `pgdba` of each",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["name", "cron", "timezone", "next", "line"],
    properties: {
      name: { type: "string" },
      cron: { type: "string" },
      timezone: { type: "string" },
      next: { type: "array", items: { type: "string" }, description: "The next times" },
      line: { type: "string", description: "The line of the crontab" },
    },
  },
  async run(ctx, input: ScheduleInput) {
    const entry = entryOf(ctx, input);
    const before = await readCrontab(ctx);
    if (ctx.noted === undefined)
      ctx.note({
        name: entry.name,
        was: (entriesIn(before).find(({ name }) => name === entry.name)?.entry ?? null) as never,
      });
    const job = lineOf(ctx, entry);
    await changeCrontab(ctx, (text) => changed(text, entry.name, entry, job));
    return told(ctx, entry, job);
  },
  async plan(ctx, input: ScheduleInput) {
    const entry = entryOf(ctx, input);
    return told(ctx, entry, lineOf(ctx, entry));
  },
  async undo(ctx) {
    const { name, was } = (ctx.noted ?? {}) as {
      name?: string;
      was?: ReturnType<typeof entryOf> | null;
    };
    if (name === undefined) return ctx.unchanged();
    await changeCrontab(ctx, (text) =>
      changed(text, name, was ?? null, was == null ? null : lineOf(ctx, was)),
    );
  },
});

type Entry = ReturnType<typeof entryOf>;

function lineOf(ctx: StepContext, entry: Entry): string {
  return jobOf(entry, {
    program: ownProgram(),
    stateDir: ctx.run.stateDir,
    path: ctx.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
  });
}

function told(ctx: StepContext, { name, cron, timezone }: Entry, line: string) {
  const next = nextTimes(cron, timezone, ctx.clock.now(), 3).map((at) => at.toISOString());
  return { name, cron, timezone, next, line };
}
