import { PgdbaError, toPgdbaError, withNothingDone } from "../../../engine/errors.ts";
import type { Json, StepContext } from "../../../engine/types.ts";
import { session } from "../../sql/session.ts";
import { type BeforeStep, keepBefore, ownBefore, wantAsWell } from "./before.ts";
import { type Given, readWanted, textOf, type Wanted, wantedFrom } from "../../settings-file.ts";
import { type Confirmed, type Place } from "./place.ts";
import { openPlace } from "./open.ts";
import { type Override, overridesOf, overrideText } from "./overrides.ts";
import { hidePasswords } from "../check/secrets.ts";
import { neededFor, type Setting } from "../../../providers/postgres/settings.ts";
import { validatedByServer } from "../check/validate.ts";
import { humanValue, sameValue } from "../../../providers/postgres/setting-value.ts";

export interface ApplyInput {
  settings?: { [name: string]: Json } | null;
  file?: string | null;
}

export interface Change {
  name: string;
  /** The value that the server runs with. */
  current: string | null;
  /** The value to configure; null takes the setting out. */
  wanted: string | null;
  /** The value that the place held before; none when not `set`. */
  before: { set: boolean; value: Given };
  action: "set" | "reset" | "none";
  takes_effect: "reload" | "new_session" | "restart" | "never";
}

export interface Prepared {
  place: Place;
  /** Every wanted value, by the setting's own name. */
  values: Wanted;
  changes: Change[];
  /** Values of roles and databases that win over it in some sessions. */
  overrides: Override[];
}

/** Reads what is wanted and checks all of it against the server. Changes nothing. @throws PgdbaError invalid_param | … */
export async function prepare(ctx: StepContext, input: ApplyInput): Promise<Prepared> {
  const wanted = await wantedOf(ctx, input);
  for (const [name, value] of wanted)
    if (typeof value === "string") hidePasswords(ctx, name, value);
  const place = await openPlace(ctx, [...wanted.keys()]);
  const values = await validatedByServer(ctx, await session(ctx), place, wanted);
  const own = await ownBefore(ctx);
  const changes = [...values].map(([name, value]) => {
    const setting = place.settings.get(name.toLowerCase());
    if (setting === undefined)
      throw new PgdbaError("internal", `${name} was validated and is gone`);
    return changeOf(place, setting, value, own);
  });
  const overrides = await overridesOf(await session(ctx), values, place.settings, ctx.signal);
  for (const { name, value } of overrides) hidePasswords(ctx, name, value);
  return { place, values, changes, overrides };
}

/** The server's own values do not show that some sessions keep another one. */
export function warnOfOverrides(ctx: StepContext, { overrides }: Prepared): void {
  const texts = overrides.map(overrideText);
  if (texts.length > 0)
    ctx.warn(`Values of roles and databases win over the server's: ${texts.join(" ")}`);
}

async function wantedOf(ctx: StepContext, { settings, file }: ApplyInput): Promise<Wanted> {
  const given = [settings, file].filter((one) => one !== undefined && one !== null);
  if (given.length !== 1) {
    throw new PgdbaError(
      "invalid_param",
      given.length === 0 ? "No settings are given" : "Settings are given twice",
      {
        hint: "Give either `settings` or `file`.",
      },
    );
  }
  return file ? readWanted(ctx.cwd, file) : wantedFrom(settings ?? {});
}

function changeOf(
  place: Place,
  setting: Setting,
  value: Given,
  own: BeforeStep | undefined,
): Change {
  const key = setting.name.toLowerCase();
  const held = place.held.get(key);
  const found =
    own !== undefined && Object.hasOwn(own.before, setting.name)
      ? (own.before[setting.name] ?? null)
      : (held ?? null);
  return {
    name: setting.name,
    current: humanValue(setting, setting.reset_val ?? setting.setting),
    wanted: value === null ? null : humanValue(setting, textOf(value)),
    before: { set: found !== null, value: found },
    action: actionOf(place, setting, value, held),
    takes_effect: neededFor(setting.context),
  };
}

/** Nothing is written for what is configured already, wherever that is. */
function actionOf(
  place: Place,
  setting: Setting,
  value: Given,
  held: Given | undefined,
): Change["action"] {
  if (value === null) return held === undefined ? "none" : "reset";
  const inFiles = place.configured(setting);
  // What was taken out of the files is in force until the next start alone.
  if (inFiles === null && setting.pending_restart) return "set";
  const configured =
    inFiles ?? (place.kind === "patroni" ? null : (setting.reset_val ?? setting.setting));
  return configured !== null && sameValue(setting, configured, textOf(value)) ? "none" : "set";
}

/** The values that have to be written, and those that only have to be in force. */
export function toWrite({ values, changes }: Prepared): Wanted {
  return new Map(
    [...values].filter(
      ([name]) => changes.find((change) => change.name === name)?.action !== "none",
    ),
  );
}

/**
 * Writes what is missing and waits until the servers have it; all of it or nothing. What was there before is on disk first, so that
 * it can be restored even if this process is killed.
 */
export async function apply(ctx: StepContext, prepared: Prepared): Promise<Confirmed> {
  const { place, values } = prepared;
  const missing = toWrite(prepared);
  const there = new Map([...values].filter(([name]) => !missing.has(name)));
  if (missing.size === 0) {
    const done = await inForce(place, values);
    if (done !== undefined) {
      await wantAsWell(ctx, place, there);
      if ((await ownBefore(ctx)) === undefined) ctx.unchanged();
      return done;
    }
  }
  await place.mayWrite(missing);
  const kept = await keepBefore(ctx, place, missing);
  try {
    await place.write(missing);
    const confirmed = await place.confirm(values);
    await wantAsWell(ctx, place, there);
    return confirmed;
  } catch (thrown) {
    const error = toPgdbaError(thrown, "step_failed");
    // A signal asks for an end, not for more work: the run's undo, or a resume, restores the kept values.
    if (!ctx.signal.aborted)
      await restore(place, kept).catch((cause: unknown) => ctx.warn(notRestored(ctx, cause)));
    // An error from here on is no refusal, whatever its code: the written values have to be taken back.
    throw withNothingDone(error, false);
  }
}

function notRestored(ctx: StepContext, cause: unknown): string {
  return `The old settings could not be put back (${toPgdbaError(cause).message}): pgdba config rollback --run ${ctx.run.id}`;
}

/** The result when all values are in force already; undefined when they are not. */
export async function inForce(place: Place, values: Wanted): Promise<Confirmed | undefined> {
  try {
    return await place.confirm(values, 0);
  } catch (error) {
    if (error instanceof PgdbaError && error.code === "step_failed") return undefined;
    throw error;
  }
}

/** Puts back what a step found, but for settings that are others' by now. Doing it twice is doing it once. */
export async function restore(
  place: Place,
  kept: BeforeStep,
  others: readonly string[] = [],
): Promise<void> {
  const values: Wanted = new Map(
    Object.entries(kept.before).filter(([name]) => !others.includes(name)),
  );
  await place.write(values);
  await place.confirm(values);
}
