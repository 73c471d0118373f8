const MAX_CACHED = 50;
const formats = new Map<string, Intl.DateTimeFormat>();

/**
 * Milliseconds that the clocks of a zone, such as `Europe/Paris`, are ahead of UTC at a moment (ms since 1970). A question takes some
 * microseconds: whoever asks a million times keeps the answers. @throws RangeError for a zone that there is not
 */
export function zoneOffset(zone: string, at: number): number {
  const name = formatOf(zone)
    .formatToParts(at)
    .find((part) => part.type === "timeZoneName")!.value;
  const found = /^GMT(?:([-+])(\d+)(?::(\d+)(?::(\d+))?)?)?$/.exec(name);
  const [hours, minutes, seconds] = (found?.slice(2) ?? []).map((part) => Number(part ?? 0));
  const size = ((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0);
  return (found?.[1] === "-" ? -size : size) * 1000;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  if (!/^[A-Za-z][\w+/-]{1,60}$/.test(zone)) throw new RangeError(`no time zone: ${zone}`);
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
  if (formats.size >= MAX_CACHED) formats.delete(formats.keys().next().value!);
  formats.set(zone, format);
  return format;
}
