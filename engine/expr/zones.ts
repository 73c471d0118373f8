import { zoneOffset } from "../shared/zone.ts";
import { ValueError } from "./value-error.ts";

/** The seconds by which a zone is ahead of UTC at a point in time: `Europe/Paris`, `+05:30`, `UTC`. @throws ValueError */
export function offsetOf(zone: string, ms: number): number {
  if (zone === "UTC" || zone === "Z") return 0;
  const fixed = /^([-+]?)(\d\d):([0-5]\d)$/.exec(zone);
  if (fixed && Number(fixed[2]) <= 23) {
    const seconds = (Number(fixed[2]) * 60 + Number(fixed[3])) * 60;
    return fixed[1] === "-" ? -seconds : seconds;
  }
  try {
    return zoneOffset(zone, ms) / 1000;
  } catch {
    throw new ValueError(
      `there is no time zone ${JSON.stringify(zone.slice(0, 60))}`,
      "Write a name such as 'Europe/Paris', or an offset such as '+02:00'.",
    );
  }
}
