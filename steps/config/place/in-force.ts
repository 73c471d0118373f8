import { PgdbaError } from "../../../engine/errors.ts";
import { type Given, textOf } from "../../settings-file.ts";
import type { Confirmed } from "./place.ts";
import {
  alterSystemValues,
  awaitsRestart,
  type FileEntry,
  isAutoConf,
  isOverriddenHere,
  neededFor,
  type Setting,
  winningEntries,
} from "../../../providers/postgres/settings.ts";
import { sameValue } from "../../../providers/postgres/setting-value.ts";

/** Why a server is not as `values` want it, setting by setting; empty when it is. Pure. */
export function faultsOf(
  values: ReadonlyMap<string, Given>,
  now: ReadonlyMap<string, Setting>,
  entries: readonly FileEntry[],
): string[] {
  return [...values].flatMap(([name, value]) => fault(now, entries, name, value));
}

/** Why a setting is not as it was written; nothing when it is, or waits for a restart only. */
function fault(
  now: ReadonlyMap<string, Setting>,
  entries: readonly FileEntry[],
  name: string,
  value: Given,
): string[] {
  const setting = now.get(name.toLowerCase());
  const held = alterSystemValues(entries).get(name.toLowerCase());
  if (setting === undefined) return [`${name} is gone`];
  const restarts = neededFor(setting.context) === "restart";
  if (value === null) {
    if (held !== undefined) return [`${name} still stands in postgresql.auto.conf`];
    return isAutoConf(setting.sourcefile) && !restarts
      ? [`${name} is still ${setting.setting}`]
      : [];
  }
  const text = textOf(value);
  const has = setting.reset_val ?? setting.setting;
  const winner = winningEntries(entries).get(name.toLowerCase());
  if (!sameValue(setting, winner?.setting ?? has, text))
    return [`${name} is ${winner?.setting ?? has} in the configuration instead of ${text}`];
  if (restarts) return [];
  if (winner?.applied === false)
    return [`${name} = ${text} was not applied${winner.error === null ? "" : `: ${winner.error}`}`];
  // The server has it for everyone; a value of this role or database hides it here only.
  if (isOverriddenHere(setting)) return [];
  return sameValue(setting, has, text) ? [] : [`${name} is ${has} instead of ${text}`];
}

/** The result when nothing is at fault. */
export function confirmed(
  values: ReadonlyMap<string, Given>,
  now: ReadonlyMap<string, Setting>,
  entries: readonly FileEntry[],
): Confirmed {
  const winners = winningEntries(entries);
  const awaiting = [...values.keys()].filter((name) =>
    awaitsRestart(now.get(name.toLowerCase()), winners.get(name.toLowerCase())?.setting),
  );
  return { awaiting_restart: awaiting, members: [] };
}

/** The error for what is at fault, with the faults of the files themselves. */
export function notInForce(
  faults: string[],
  entries: readonly FileEntry[],
  now: ReadonlyMap<string, Setting>,
): PgdbaError {
  // A setting that waits for a restart stands there with an error as well.
  const broken = entries.filter(
    ({ name, error }) => error !== null && now.get(name.toLowerCase())?.context !== "postmaster",
  );
  return new PgdbaError(
    "step_failed",
    `The server did not take the settings: ${faults.join("; ")}`,
    {
      hint:
        broken.length === 0
          ? "Look at the server's log, and at pg_file_settings."
          : `Its configuration has faults: ${broken.map((entry) => `${entry.sourcefile}:${entry.sourceline} ${entry.name}: ${entry.error}`).join("; ")}.`,
    },
  );
}
