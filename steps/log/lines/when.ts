import { zoneOffset } from "../../../engine/shared/zone.ts";

const HOUR = 3_600_000;

/** Reads times of a log as milliseconds since 1970, by the log_timezone that they are written in; null where one can't be read. */
export function readerOf(zone: string): (at: string | null) => number | null {
  // Asking for the offset takes longer than all the rest, and it changes at whole hours at most.
  const offsets = new Map<number, number>();
  const offset = (at: number): number => {
    const hour = Math.floor(at / HOUR);
    if (!offsets.has(hour)) offsets.set(hour, zoneOffset(zone, hour * HOUR));
    return offsets.get(hour)!;
  };
  return (at) => {
    if (at === null) return null;
    if (/^\d+\.\d+$/.test(at)) return Number(at) * 1000;
    const wall = Date.parse(`${at.slice(0, 10)}T${at.slice(11).split(" ")[0]}Z`);
    if (Number.isNaN(wall)) return null;
    if (/ (UTC|GMT)$/.test(at)) return wall;
    try {
      return wall - offset(wall - offset(wall));
    } catch {
      return null;
    }
  };
}
