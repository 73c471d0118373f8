import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { fileError, writeWhole } from "../../../engine/shared/write-file.ts";
import type { StepContext } from "../../../engine/types.ts";
import { commandLine } from "../../command-line.ts";
import { type Given, textOf, type Wanted } from "../../settings-file.ts";
import { type Member, memberOf, otherMember } from "./member.ts";
import type { Place } from "./place.ts";
import { isSecret } from "../check/secrets.ts";
import { sameValue } from "../../../providers/postgres/setting-value.ts";

/** The values that one run found before it changed settings; `<state folder>/config-before/<run id>.json`, readable by its user only. */
export interface Before {
  run: string;
  target: string;
  identity: string | null;
  kind: Place["kind"];
  /** The member that the settings belong to; without it they are those of a whole Patroni cluster. */
  member?: Member;
  /** In the order in which the steps began. */
  steps: BeforeStep[];
  /** The run that has put the old settings back. */
  taken_back?: { run: string; at: string };
}

export interface BeforeStep {
  path: string;
  at: string;
  /** By name: what the place held, null when it held nothing. */
  before: { [name: string]: Given };
  /** The values to be expected afterwards. Secrets are left out, since nothing is restored from here. */
  after: { [name: string]: Given };
  /** By name, the run that has wanted a value since which this step had left: taking this one back must not take it from that one. */
  since?: { [name: string]: string };
}

/** Settings that one run changes are some kB. */
const MAX_BYTES = 16 * 1024 * 1024;

/** A run's id, which becomes part of a path. */
const RUN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$/;

function fileOf(stateDir: string, run: string): string {
  if (!RUN.test(run)) {
    throw new PgdbaError(
      "unknown_run",
      `Not the id of a run: ${JSON.stringify(run.slice(0, 100))}`,
      {
        hint: "`pgdba runs` lists them.",
      },
    );
  }
  return join(stateDir, "config-before", `${run}.json`);
}

/** The values that `run` found, or undefined when it changed no settings. */
export async function readBefore(stateDir: string, run: string): Promise<Before | undefined> {
  const file = fileOf(stateDir, run);
  const text = readTextIfThere(file, { maxBytes: MAX_BYTES });
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Before;
  } catch (cause) {
    throw new PgdbaError("io_failed", `${file} can't be read: ${(cause as Error).message}`, {
      hint: "It holds the settings from before the run; look at it by hand.",
      cause,
    });
  }
}

/** The values that this step found when it began, in this or an earlier process. */
export async function ownBefore(ctx: StepContext): Promise<BeforeStep | undefined> {
  const found = await readBefore(ctx.run.stateDir, ctx.run.id);
  return found?.steps.find((step) => step.path === ctx.step.path);
}

/**
 * Keeps what a step found, on disk before it returns. A step that began before keeps what it found then: what is there now may be
 * its own work.
 */
export async function keepBefore(
  ctx: StepContext,
  place: Place,
  values: ReadonlyMap<string, Given>,
): Promise<BeforeStep> {
  const { stateDir, id } = ctx.run;
  const known = await readBefore(stateDir, id);
  const path = ctx.step.path;
  const own = known?.steps.find((step) => step.path === path);
  if (own !== undefined) return own;
  const step: BeforeStep = {
    path,
    at: ctx.clock.now().toISOString(),
    before: Object.fromEntries(
      [...values.keys()].map((name) => [name, place.held.get(name.toLowerCase()) ?? null]),
    ),
    after: Object.fromEntries([...values].filter(([name, value]) => !hides(name, value))),
  };
  const { identity } = await ctx.target.facts();
  const whole: Before = {
    ...known,
    run: id,
    target: ctx.target.name,
    identity,
    kind: place.kind,
    ...(place.kind === "patroni" ? {} : { member: await memberOf(ctx) }),
    steps: [...(known?.steps ?? []), step],
  };
  await write(stateDir, whole);
  return step;
}

/** Says in what `run` left that its settings were put back by this run. */
export async function markTakenBack(ctx: StepContext, run: string): Promise<void> {
  const { stateDir, id } = ctx.run;
  const found = await readBefore(stateDir, run);
  if (found === undefined) return;
  const at = ctx.clock.now().toISOString();
  await write(stateDir, { ...found, taken_back: { run: id, at } });
}

/**
 * For a step that was cut short: whether it may go on where it was.
 * @throws PgdbaError step_refused when its run was taken back meanwhile, or somebody else has changed the same settings
 */
export async function mayGoOn(ctx: StepContext, place: Place): Promise<void> {
  const { stateDir, id } = ctx.run;
  const found = await readBefore(stateDir, id);
  const back = found?.taken_back;
  if (back !== undefined) {
    throw new PgdbaError(
      "step_refused",
      `The settings from before ${id} were put back by ${back.run} at ${back.at}`,
      { hint: "Run it anew to have its settings." },
    );
  }
  const own = found?.steps.find((step) => step.path === ctx.step.path);
  const changed = own === undefined ? [] : changedSince(place, own.before, own.after);
  if (changed.length === 0) return;
  throw new PgdbaError(
    "step_refused",
    `Since ${id} was cut short somebody else has changed ${changed.join(", ")}`,
    {
      hint: `Look at them with \`${commandLine(ctx.target, ["config", "show"])}\`; \`${commandLine(ctx.target, ["config", "rollback", "--run", id, "--force"])}\` puts the old values back, running it anew sets its own.`,
      data: { changed_since: changed },
    },
  );
}

/** Settings that a place holds now neither as they were found nor as they were left. */
export function changedSince(
  place: Place,
  before: BeforeStep["before"],
  after: BeforeStep["after"],
): string[] {
  return Object.keys(before).filter((name) => {
    // Secrets are not kept, so a later change of one can't be noticed.
    if (!Object.hasOwn(after, name)) return false;
    const now = place.held.get(name.toLowerCase()) ?? null;
    return ![before[name] ?? null, after[name] ?? null].some((value) =>
      isSame(place, name, value, now),
    );
  });
}

function isSame(place: Place, name: string, one: Given, other: Given): boolean {
  if (one === null || other === null) return one === other;
  const setting = place.settings.get(name.toLowerCase());
  return setting !== undefined && sameValue(setting, textOf(one), textOf(other));
}

/** Tells those that have set these values before that this run wants them, too. */
export async function wantAsWell(ctx: StepContext, place: Place, values: Wanted): Promise<void> {
  const { stateDir, id } = ctx.run;
  const { identity } = await ctx.target.facts();
  const files = await readdir(join(stateDir, "config-before")).catch(() => []);
  const keys = [...values.keys()].map((name) => JSON.stringify(name));
  // Of many runs none has to do with these settings: the server is asked once, and only then.
  let here: Member | undefined;
  for (const file of files) {
    const run = file.replace(/\.json$/, "");
    const found = run === id ? undefined : otherBefore(stateDir, run, keys);
    if (found === undefined || found.taken_back !== undefined) continue;
    if (found.identity !== identity || found.kind !== place.kind) continue;
    if (found.member !== undefined) {
      here ??= await memberOf(ctx);
      if (otherMember(found.member, here, []) !== undefined) continue;
    }
    const steps = found.steps.map((step) => {
      const names = [...values].filter(
        ([name, value]) =>
          Object.hasOwn(step.after, name) &&
          step.since?.[name] === undefined &&
          isSame(place, name, step.after[name] ?? null, value),
      );
      if (names.length === 0) return step;
      return {
        ...step,
        since: { ...step.since, ...Object.fromEntries(names.map(([name]) => [name, id])) },
      };
    });
    if (steps.some((step, at) => step !== found.steps[at]))
      await write(stateDir, { ...found, steps });
  }
}

/** What another run found, where it may have set one of these; one that can't be read is nobody's to take back either. */
function otherBefore(stateDir: string, run: string, keys: readonly string[]): Before | undefined {
  if (!RUN.test(run)) return undefined;
  try {
    const text = readTextIfThere(fileOf(stateDir, run), { maxBytes: MAX_BYTES });
    return text !== undefined && keys.some((key) => text.includes(key))
      ? (JSON.parse(text) as Before)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Settings of a step that are not its own to put back any more: others have changed them since, or want them as they are. */
export function ofOthers(place: Place, { before, after, since = {} }: BeforeStep): string[] {
  return [...new Set([...changedSince(place, before, after), ...Object.keys(since)])];
}

async function write(stateDir: string, whole: Before): Promise<void> {
  const dir = join(stateDir, "config-before");
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw fileError(dir, error);
  });
  await writeWhole(fileOf(stateDir, whole.run), `${JSON.stringify(whole, null, 2)}\n`);
}

function hides(name: string, value: Given): boolean {
  return typeof value === "string" && isSecret(name, value);
}
