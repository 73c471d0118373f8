import { defineStep } from "../define.ts";
import { nextTimes } from "./schedule/cron.ts";
import { entryOf, type ScheduleInput } from "./schedule/entry.ts";
import type { Entry, Keeper } from "./schedule/keeper.ts";
import { keepersOf } from "./schedule/keepers.ts";
import type { StepContext } from "../../engine/types.ts";

export default defineStep({
  type: "backup.schedule-add",
  summary: "Have pgdba run at given times: by a node that is there for it, else by cron",
  docs: `Where the cluster has a node with the role \`backup\`, that one keeps it: it is given pgdba, an entry of the cluster and its secrets, and goes by any time zone.

Else the commands stand in the crontab of the user that runs pgdba, between two marks; other lines are not touched, and one of the same name is replaced. They
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
  uses: ["nodes", "repository"],
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
      timezone: { type: ["string", "null"], description: "That of this machine without this" },
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
    required: ["name", "where", "cron", "timezone", "next", "line"],
    properties: {
      name: { type: "string" },
      where: { type: "string", description: "`crontab`, or the node that keeps it" },
      cron: { type: "string" },
      timezone: { type: "string" },
      next: { type: "array", items: { type: "string" }, description: "The next times" },
      line: { type: "string", description: "The line of the crontab, or what the node runs" },
    },
  },
  async run(ctx, input: ScheduleInput) {
    const [keeper] = await keepersOf(ctx);
    const entry = entryOf(ctx, input, keeper);
    const noted = ctx.noted as unknown as Noted | undefined;
    const was =
      noted === undefined ? ((await keptAs(keeper, entry.name))?.entry ?? null) : noted.was;
    ctx.note({ was, put: entry } satisfies Noted as never);
    return told(ctx, entry, keeper, await keeper.put(entry));
  },
  async plan(ctx, input: ScheduleInput) {
    const [keeper] = await keepersOf(ctx);
    const entry = entryOf(ctx, input, keeper);
    return told(ctx, entry, keeper, keeper.show(entry));
  },
  async undo(ctx) {
    const noted = ctx.noted as unknown as Noted | undefined;
    if (noted === undefined) return ctx.unchanged();
    const { was, put } = noted;
    const [keeper] = await keepersOf(ctx);
    const now = await keptAs(keeper, put.name);
    if (now === undefined || Bun.deepEquals(now.entry, was)) return ctx.unchanged();
    if (!Bun.deepEquals(now.entry, put)) {
      ctx.warn(`Others have set the schedule ${put.name} since: it stays as they have left it`);
      return ctx.unchanged();
    }
    if (was === null) await keeper.remove(put.name);
    else await keeper.put(was);
  },
});

interface Noted {
  was: Entry | null;
  /** With the moment at which this run has put it: one that says the same of another moment is that of a later run. */
  put: Entry;
}

const keptAs = async (keeper: Keeper, name: string) =>
  (await keeper.list()).find((one) => one.name === name);

function told(ctx: StepContext, { name, cron, timezone }: Entry, { where }: Keeper, line: string) {
  const next = nextTimes(cron, timezone, ctx.clock.now(), 3).map((at) => at.toISOString());
  return { name, where, cron, timezone, next, line };
}
