import type { PgSession } from "../../../providers/postgres/session.ts";
import { type Given, textOf, type Wanted } from "../../settings-file.ts";
import { NOT_BELOW_PRIMARY } from "./members.ts";
import type { Place } from "./place.ts";
import { humanValue } from "../../../providers/postgres/setting-value.ts";

export interface Problem {
  name: string;
  value: Given;
  problem: string;
}

const OFF = ["off", "false", "no", "0"];

/** The configured value of a setting once `good` is written. */
export function valueAfter(place: Place, good: Wanted, name: string): string {
  const setting = place.settings.get(name);
  const given = good.get(name);
  if (given !== undefined && given !== null) return textOf(given);
  if (setting === undefined) return "";
  if (given === null) return place.beneath(setting) ?? setting.boot_val ?? "";
  return place.configured(setting) ?? setting.setting;
}

/** Pairs of values with which the server does not start. Source: PostmasterMain (postmaster.c). */
export function together(place: Place, good: Wanted): Problem[] {
  const after = (name: string): string => valueAfter(place, good, name);
  const number = (name: string): number => Number(after(name) || 0);
  const isOn = (name: string): boolean =>
    place.settings.has(name) && !OFF.includes(after(name).toLowerCase());
  const problems: Problem[] = [];
  const blame = (names: string[], problem: string): void => {
    const name = names.find((one) => good.has(one));
    if (name !== undefined) problems.push({ name, value: good.get(name) ?? null, problem });
  };
  const reserved = number("superuser_reserved_connections") + number("reserved_connections");
  if (reserved >= number("max_connections")) {
    blame(
      ["max_connections", "superuser_reserved_connections", "reserved_connections"],
      `leaves no connection besides the ${reserved} reserved ones; the server would not start`,
    );
  }
  if (after("wal_level").toLowerCase() === "minimal") {
    const names = ["wal_level", "max_wal_senders", "archive_mode", "summarize_wal"];
    const unless = (what: string): void =>
      blame(
        names,
        `can't be used: with wal_level = minimal the server does not start unless ${what}`,
      );
    if (number("max_wal_senders") > 0) unless("max_wal_senders is 0");
    if (isOn("archive_mode")) unless("archive_mode is off");
    if (isOn("summarize_wal")) unless("summarize_wal is off");
  }
  return problems;
}

/**
 * A standby with less of these than its primary does not start (CheckRequiredParameterValues in xlogrecovery.c). What the primary
 * has stands in pg_control, which SQL does not show; it is at most the value in force here.
 */
export function belowPrimary(pg: PgSession, place: Place, good: Wanted): Problem[] {
  if (!pg.info.standby || place.kind === "patroni") return [];
  return [...good].flatMap(([name, value]) => {
    const setting = place.settings.get(name);
    if (setting === undefined || !NOT_BELOW_PRIMARY.has(name)) return [];
    if (Number(valueAfter(place, good, name)) >= Number(setting.setting)) return [];
    const now = humanValue(setting, setting.setting);
    const problem = `is below ${now}, which is in force on this standby: with less than its primary has it would not start; lower it on the primary first, restart that, and then take it out here`;
    return [{ name, value, problem }];
  });
}
