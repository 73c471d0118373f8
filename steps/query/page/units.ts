import { count, ms } from "../plan/finding.ts";

/** Milliseconds for people; nodes often take less than one. */
export function time(value: number): string {
  return value < 1 ? `${Math.round(value * 1000)} µs` : ms(value);
}

/** Bytes for people: three digits and a unit of 1024. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1024;
  return `${Number(value.toPrecision(3))} ${units[unit]}`;
}

/** The planner's units, which have no name. */
export function cost(value: number): string {
  return value >= 100 ? count(value) : String(Number(value.toFixed(2)));
}
