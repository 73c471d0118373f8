/**
 * What stood in the settings for archiving before a run changed them, by target: `archive-before/<target>.json` in the state folder. Each value belongs to
 * the step that has changed it last, which alone may put it back. A run that comes after a dead one takes its values over, so that they are those of before
 * both; once it ends well, they are gone, and the dead one has nothing to put back any more.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { fileError, writeWhole } from "../../../engine/shared/write-file.ts";
import type { StepContext } from "../../../engine/types.ts";

/** By name; null for a setting that stood nowhere. */
export type Values = Record<string, string | null>;

interface Kept {
  before: string | null;
  after: string | null;
  /** The run and its step. */
  by: string;
}

/** By member, and by the setting's name. */
type Whole = Record<string, Record<string, Kept>>;

const MAX_BYTES = 1024 * 1024;

/** Keeps what a member has now, before it is changed. A value that this step, or a dead run before it, has set itself is not what was there before. */
export async function keepBefore(
  ctx: StepContext,
  member: string,
  now: Values,
  wanted: Readonly<Values>,
): Promise<void> {
  const by = ownerOf(ctx);
  await change(ctx, (whole) => {
    const all = (whole[member] ??= {});
    for (const [name, after] of Object.entries(wanted)) {
      const value = now[name] ?? null;
      const known = all[name];
      const isFirst = known === undefined || !isOfRun(known, value);
      if (known?.by === by) continue;
      all[name] = { before: isFirst ? value : known.before, after, by };
    }
  });
  if (ctx.noted === undefined) ctx.note({ kept: await nameOf(ctx) });
}

/** What this step may put back, by member. */
export async function ownBefore(ctx: StepContext): Promise<Record<string, Record<string, Kept>>> {
  const by = ownerOf(ctx);
  const members = Object.entries(await read(ctx)).map(([member, all]) => [
    member,
    Object.fromEntries(Object.entries(all).filter(([, kept]) => kept.by === by)),
  ]);
  return Object.fromEntries(members.filter(([, all]) => Object.keys(all!).length > 0));
}

/** A value that a run has found or left; another one is somebody else's. */
export const isOfRun = ({ before, after }: Kept, value: string | null): boolean =>
  value === before || value === after;

/** The step has put it back, or will not be taken back any more. What `silent` members have was not put back: a later run takes it over. */
export async function forgetBefore(
  ctx: StepContext,
  silent: ReadonlySet<string> = new Set(),
): Promise<void> {
  const by = ownerOf(ctx);
  await change(ctx, (whole) => {
    for (const [member, all] of Object.entries(whole)) {
      if (silent.has(member)) continue;
      for (const [name, kept] of Object.entries(all)) if (kept.by === by) delete all[name];
      if (Object.keys(all).length === 0) delete whole[member];
    }
  });
}

const ownerOf = ({ run, step }: StepContext): string => `${run.id} ${step.path}`;

interface Noted {
  kept: string;
}

/** A copy of a cluster has its identity, and a cluster that is made anew its name. A server may not tell its identity when this is taken back. */
async function nameOf(ctx: StepContext): Promise<string> {
  if (ctx.noted !== undefined) return (ctx.noted as unknown as Noted).kept;
  const { identity } = await ctx.target.facts();
  return `${ctx.target.cluster ?? "server"}-${identity ?? "unknown"}`;
}

async function fileOf(ctx: StepContext): Promise<string> {
  return join(ctx.run.stateDir, "archive-before", `${await nameOf(ctx)}.json`);
}

async function read(ctx: StepContext): Promise<Whole> {
  const file = await fileOf(ctx);
  const text = readTextIfThere(file, { maxBytes: MAX_BYTES });
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as Whole;
  } catch (cause) {
    throw new PgdbaError("io_failed", `${file} can't be read: ${(cause as Error).message}`, {
      hint: "It holds the settings for archiving from before a run that has not ended; look at it by hand.",
      cause,
    });
  }
}

/** Steps that change the same settings hold the lock `config`, so that there is one at a time. */
async function change(ctx: StepContext, work: (whole: Whole) => void): Promise<void> {
  const whole = await read(ctx);
  const was = JSON.stringify(whole);
  work(whole);
  if (JSON.stringify(whole) === was) return;
  const file = await fileOf(ctx);
  if (Object.keys(whole).length === 0) return rm(file, { force: true });
  const dir = join(ctx.run.stateDir, "archive-before");
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw fileError(dir, error);
  });
  await writeWhole(file, `${JSON.stringify(whole, null, 2)}\n`);
}
