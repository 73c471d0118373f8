import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Given } from "../../settings-file.ts";
import type { Place } from "./place.ts";
import { isSecret } from "./secrets.ts";

/** What one run found before it changed settings; `<state folder>/config-before/<run id>.json`, for its user's eyes only. */
export interface Before {
  run: string;
  target: string;
  identity: string | null;
  kind: Place["kind"];
  /** In the order in which the steps began. */
  steps: BeforeStep[];
}

export interface BeforeStep {
  path: string;
  at: string;
  /** By name: what the place held, null when it held nothing. */
  before: { [name: string]: Given };
  /** What is to be there afterwards; secrets are left out, for nothing is restored from it. */
  after: { [name: string]: Given };
}

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

/** What `run` found, or undefined when it changed no settings. */
export async function readBefore(stateDir: string, run: string): Promise<Before | undefined> {
  const file = fileOf(stateDir, run);
  try {
    return JSON.parse(await readFile(file, "utf8")) as Before;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new PgdbaError("io_failed", `${file} can't be read: ${(cause as Error).message}`, {
      hint: "It holds the settings from before the run; look at it by hand.",
      cause,
    });
  }
}

/** What this step found when it began, in this or an earlier process. */
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
    run: id,
    target: ctx.target.name,
    identity,
    kind: place.kind,
    steps: [...(known?.steps ?? []), step],
  };
  await writeDurably(
    join(stateDir, "config-before"),
    fileOf(stateDir, id),
    `${JSON.stringify(whole, null, 2)}\n`,
  );
  return step;
}

function hides(name: string, value: Given): boolean {
  return typeof value === "string" && isSecret(name, value);
}

/** The whole file or the old one, whenever the machine stops. */
async function writeDurably(dir: string, file: string, text: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const folder = await open(dir, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
