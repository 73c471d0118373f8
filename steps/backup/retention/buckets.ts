import { zoneOffset } from "../../../engine/shared/zone.ts";
import type { Period } from "./policy.ts";

const DAY = 86_400_000;

/** The day, week (from Monday), month or year of a moment in a time zone, as a text that is equal for equal ones. */
export function bucketOf(period: Period, at: number, zone: string): string {
  const local = new Date(at + offsetOf(zone, at));
  const day = Math.floor(local.getTime() / DAY);
  if (period === "daily") return `d${day}`;
  // 1 January 1970 was a Thursday.
  if (period === "weekly") return `w${Math.floor((day + 3) / 7)}`;
  if (period === "monthly") return `m${local.getUTCFullYear()}-${local.getUTCMonth()}`;
  return `y${local.getUTCFullYear()}`;
}

/** Of each zone, the offset of each day (UTC) that has one and the same all day. Asking costs a thousand times what this does. */
const offsets = new Map<string, Map<number, number | null>>();
const MOST_DAYS = 20_000;

function offsetOf(zone: string, at: number): number {
  let days = offsets.get(zone);
  if (days === undefined || days.size > MOST_DAYS) offsets.set(zone, (days = new Map()));
  const day = Math.floor(at / DAY);
  let all = days.get(day);
  if (all === undefined) {
    const first = zoneOffset(zone, day * DAY);
    all = first === zoneOffset(zone, (day + 1) * DAY) ? first : null;
    days.set(day, all);
  }
  return all ?? zoneOffset(zone, at);
}
