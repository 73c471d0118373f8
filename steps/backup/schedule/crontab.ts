/** The crontab of the user that pgdba runs as. Lines that are not ours stay as they are, to the byte. */
import { join } from "node:path";
import { mkdir, stat } from "node:fs/promises";
import { PgdbaError } from "../../../engine/errors.ts";
import { exclusively } from "../../../engine/shared/exclusive.ts";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { shellQuoted } from "../../../engine/shared/shell-words.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import type { StepContext } from "../../../engine/types.ts";
import { ownProgram } from "./entry.ts";
import { type Entry, type Keeper, type Kept, saidIn } from "./keeper.ts";

/** Of what a command says. */
const MAX_OUTPUT = 64 * 1024 * 1024;
const BEGIN = "# pgdba schedule ";
const END = "# pgdba end ";

/** The entries of a crontab that are ours; one whose head can't be read is told with a null. */
export function entriesIn(text: string): { name: string; entry: Entry | null }[] {
  return blocksIn(text).map(({ name, head }) => {
    try {
      return { name, entry: JSON.parse(head) as Entry };
    } catch {
      return { name, entry: null };
    }
  });
}

interface Block {
  name: string;
  head: string;
  /** Lines, both included. */
  from: number;
  to: number;
}

function blocksIn(text: string): Block[] {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  for (const [from, line] of lines.entries()) {
    const [, name, head] = line.startsWith(BEGIN)
      ? (/^(\S+) (.*)$/.exec(line.slice(BEGIN.length)) ?? [])
      : [];
    if (name === undefined || head === undefined) continue;
    const to = lines.indexOf(`${END}${name}`, from);
    if (to >= 0) blocks.push({ name, head, from, to });
  }
  return blocks;
}

/** The crontab without the entry, and with `entry` in its place or at the end. */
function changed(text: string, name: string, entry: Entry | null, job: string | null): string {
  const block = blocksIn(text).find((one) => one.name === name);
  const lines = text.split("\n");
  const own =
    entry === null || job === null
      ? []
      : [`${BEGIN}${name} ${JSON.stringify(entry)}`, job, `${END}${name}`];
  if (block !== undefined) lines.splice(block.from, block.to - block.from + 1, ...own);
  else if (own.length > 0) {
    if (lines.at(-1) === "") lines.pop();
    lines.push(...own, "");
  }
  return lines.join("\n");
}

/** The line of cron. What the last run said lies in files beside; what all have said is in the journal. */
export function jobOf(
  { cron, name, commands }: Entry,
  how: { program: string[]; stateDir: string; path: string },
): string {
  const folder = join(how.stateDir, "schedules");
  // Said once: cron takes no line of more than a thousand characters.
  const env = `export PGDBA_CALLER=schedule PGDBA_HOME=${shellQuoted(how.stateDir)} PATH=${shellQuoted(how.path)}`;
  const steps = commands.map((words) => [...how.program, ...words].map(shellQuoted).join(" "));
  const out = `>${shellQuoted(join(folder, `${name}.json`))} 2>${shellQuoted(join(folder, `${name}.log`))}`;
  const line = `${cron} ${env}; { ${steps.join(" && ")}; } ${out}`;
  if (/[\r\n\0]/.test(line))
    throw new PgdbaError("invalid_param", "A line of a crontab can't hold a line break", {
      hint: "Look at the values that were given.",
    });
  // To cron a percent sign is the end of the line.
  return line.replaceAll("%", "\\%");
}

/** The cron of this machine; what each command has said lies in files of the state folder. */
export function cronKeeper(ctx: StepContext): Keeper {
  const folder = join(ctx.run.stateDir, "schedules");
  const show = (entry: Entry): string =>
    jobOf(entry, {
      program: ownProgram(),
      stateDir: ctx.run.stateDir,
      path: ctx.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    });
  return {
    where: "crontab",
    halted: null,
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    show,
    async list() {
      return Promise.all(
        entriesIn(await readCrontab(ctx)).map(async ({ name, entry }): Promise<Kept> => {
          // The shell empties these files before the command begins.
          const log = await stat(join(folder, `${name}.log`)).catch(() => null);
          const out = readTextIfThere(join(folder, `${name}.json`), { maxBytes: MAX_OUTPUT });
          return { name, entry, ranAt: log?.mtime ?? null, said: saidIn(out ?? ""), missed: null };
        }),
      );
    },
    async put(entry) {
      const job = show(entry);
      await changeCrontab(ctx, (text) => changed(text, entry.name, entry, job));
      return job;
    },
    remove: (name) => changeCrontab(ctx, (text) => changed(text, name, null, null)),
  };
}

/** @throws PgdbaError unsupported | command_failed */
async function readCrontab(ctx: StepContext): Promise<string> {
  const ran = await crontab(ctx, ["-l"]);
  if (ran.exit_code === 0) return ran.stdout;
  // In the C locale it says so; anything else that fails must not be taken for an empty one, which would then take the place of what is there.
  if (ran.exit_code === 1 && /^no crontab for /m.test(ran.stderr)) return "";
  throw new PgdbaError("command_failed", `crontab -l failed: ${ran.stderr.trim()}`, {
    hint: "May this user have a crontab? See /etc/cron.allow and /etc/cron.deny.",
  });
}

/** Changes it while no other pgdba does. The one before lies in the state folder. */
async function changeCrontab(ctx: StepContext, change: (text: string) => string): Promise<void> {
  const folder = join(ctx.run.stateDir, "schedules");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await exclusively(
    join(folder, "lock"),
    { what: "the crontab", waitMs: 10_000, signal: ctx.signal },
    async () => {
      const before = await readCrontab(ctx);
      const after = change(before);
      if (after === before) return;
      await writeWhole(join(folder, "crontab.before"), before);
      const ran = await crontab(ctx, ["-"], after);
      if (ran.exit_code === 0) return;
      throw new PgdbaError("command_failed", `crontab refused the change: ${ran.stderr.trim()}`, {
        hint: "Nothing was changed. May this user have a crontab? See /etc/cron.allow and /etc/cron.deny.",
      });
    },
  );
}

async function crontab(ctx: StepContext, args: string[], stdin?: string) {
  try {
    return await ctx.spawn(["crontab", ...args], {
      env: { LC_ALL: "C" },
      maxBytes: 4 * 1024 * 1024,
      ...(stdin === undefined ? {} : { stdin }),
    });
  } catch (cause) {
    if (!(cause instanceof PgdbaError) || cause.code !== "command_failed") throw cause;
    throw new PgdbaError("unsupported", "This machine has no crontab", {
      cause,
      hint: "Install cron (Debian: apt-get install cron), or have another scheduler run the commands that --plan shows.",
      nothingDone: true,
    });
  }
}
