import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { execPath } from "node:process";
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { checkedCron, isSameIn } from "./cron.ts";
import type { Entry, Keeper } from "./keeper.ts";

export interface ScheduleInput {
  name?: string | null;
  cron: string;
  timezone?: string | null;
  commands: (string | number)[][];
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** @throws PgdbaError invalid_param | unsupported */
export function entryOf(
  ctx: StepContext,
  input: ScheduleInput,
  { zone }: Pick<Keeper, "zone">,
): Entry {
  const now = ctx.clock.now();
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const timezone = input.timezone ?? here;
  const cron = checkedCron(input.cron, timezone, now);
  if (zone !== null && !isSameIn(cron, timezone, zone, now)) {
    throw new PgdbaError(
      "unsupported",
      `The cron of this machine goes by ${zone}, and ${cron} in ${timezone} fires at other times`,
      {
        hint: `Write the expression in the time of ${zone}, without --timezone.`,
        nothingDone: true,
      },
    );
  }
  const flags = ctx.target.flags ?? [];
  if (flags.length === 0)
    throw new PgdbaError("no_target", "Backups of which server or cluster?", {
      hint: "Give --cluster NAME, or --host.",
    });
  const commands = input.commands.map((words) => [...words.map(String), ...flags, "--no-input"]);
  const name =
    input.name ??
    `${commands[0]![1] ?? "backup"}-${(ctx.target.cluster ?? ctx.target.name).replace(/[^A-Za-z0-9]+/g, "-")}`.slice(
      0,
      60,
    );
  if (!NAME.test(name))
    throw new PgdbaError("invalid_param", `${JSON.stringify(name)} can't name a schedule`, {
      hint: "Letters, digits, - _ and . will do.",
    });
  return { name, cron, timezone, commands, added_at: now.toISOString() };
}

/** The words by which a shell starts this pgdba, wherever it is called. */
export function ownProgram(): string[] {
  if (Bun.isStandaloneExecutable) return [execPath];
  for (let folder = import.meta.dir; folder !== dirname(folder); folder = dirname(folder)) {
    const launcher = join(folder, "engine/pgdba");
    if (existsSync(launcher)) return [launcher];
  }
  throw new PgdbaError("internal", "pgdba does not find its own launcher");
}
