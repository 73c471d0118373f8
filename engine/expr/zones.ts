import { ValueError } from "./value-error.ts";

const MAX_CACHED = 50;
const formats = new Map<string, Intl.DateTimeFormat>();

/** The seconds by which a zone is ahead of UTC at a point in time: `Europe/Paris`, `+05:30`, `UTC`. @throws ValueError */
export function offsetOf(zone: string, ms: number): number {
  if (zone === "UTC" || zone === "Z") return 0;
  const fixed = /^([-+]?)(\d\d):([0-5]\d)$/.exec(zone);
  if (fixed && Number(fixed[2]) <= 23) {
    const seconds = (Number(fixed[2]) * 60 + Number(fixed[3])) * 60;
    return fixed[1] === "-" ? -seconds : seconds;
  }
  const name = formatOf(zone)
    .formatToParts(ms)
    .find((part) => part.type === "timeZoneName")!.value;
  const found = /^GMT(?:([-+])(\d+)(?::(\d+)(?::(\d+))?)?)?$/.exec(name);
  const [hours, minutes, seconds] = (found?.slice(2) ?? []).map((part) => Number(part ?? 0));
  const size = ((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0);
  return found?.[1] === "-" ? -size : size;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  let format: Intl.DateTimeFormat;
  try {
    if (!/^[A-Za-z][\w+/-]{1,60}$/.test(zone)) throw new RangeError(zone);
    format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
  } catch {
    throw new ValueError(
      `there is no time zone ${JSON.stringify(zone.slice(0, 60))}`,
      "Write a name such as 'Europe/Paris', or an offset such as '+02:00'.",
    );
  }
  if (formats.size >= MAX_CACHED) formats.delete(formats.keys().next().value!);
  formats.set(zone, format);
  return format;
}
