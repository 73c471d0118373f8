import { Duration, fractionOf, SECOND } from "./duration.ts";
import { ValueError } from "./value-error.ts";
import { offsetOf } from "./zones.ts";

const MIN = -62_135_596_800n * SECOND;
const MAX = 253_402_300_800n * SECOND - 1n;
const DAY = 86_400;

const FORM =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?: ?(?:Z|([-+])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?))?)?$/;

/** A point in time, to the nanosecond. */
export class Timestamp {
  /** Nanoseconds since 1970 in UTC. */
  readonly ns: bigint;

  private constructor(ns: bigint) {
    this.ns = ns;
  }

  /** @throws ValueError outside the years 1 to 9999 */
  static of(ns: bigint): Timestamp {
    if (ns >= MIN && ns <= MAX) return new Timestamp(ns);
    throw new ValueError("the timestamp is outside the years 1 to 9999", "Check the operands.");
  }

  /** Undefined for a date that is none, or is outside the years 1 to 9999. */
  static fromDate(date: Date): Timestamp | undefined {
    const ms = date.getTime();
    const ns = Number.isNaN(ms) ? MAX + 1n : BigInt(ms) * 1_000_000n;
    return ns >= MIN && ns <= MAX ? new Timestamp(ns) : undefined;
  }

  /** ISO 8601, or as PostgreSQL prints it; UTC where no zone is written. @throws ValueError */
  static parse(text: string): Timestamp {
    const found = text.length <= 60 ? FORM.exec(text) : null;
    const seconds = found ? secondsOf(found) : undefined;
    if (seconds === undefined)
      throw new ValueError(
        `${JSON.stringify(text.slice(0, 60))} is not a timestamp`,
        "Write it as ISO 8601: 2026-02-22T10:00:00Z.",
      );
    const fraction = (found![7] ?? "").slice(0, 9).padEnd(9, "0");
    return Timestamp.of(BigInt(seconds) * SECOND + BigInt(fraction));
  }

  plus(duration: Duration): Timestamp {
    return Timestamp.of(this.ns + duration.ns);
  }

  minus(other: Timestamp): Duration {
    return Duration.of(this.ns - other.ns);
  }

  /** Whole seconds since 1970. */
  get seconds(): bigint {
    return (this.ns - mod(this.ns, SECOND)) / SECOND;
  }

  /** Its parts in a zone, as the UTC parts of a date. @throws ValueError for an unknown zone */
  in(zone: string | undefined): Date {
    const ms = Number((this.ns - mod(this.ns, 1_000_000n)) / 1_000_000n);
    return new Date(zone === undefined ? ms : ms + offsetOf(zone, ms) * 1000);
  }

  /** As RFC 3339 has it, in UTC. */
  toString(): string {
    return `${this.in(undefined).toISOString().slice(0, 19)}${fractionOf(mod(this.ns, SECOND))}Z`;
  }
}

const mod = (value: bigint, by: bigint): bigint => ((value % by) + by) % by;

/** Seconds since 1970 of what `FORM` found; undefined where there is no such day or hour. */
function secondsOf(found: RegExpExecArray): number | undefined {
  const [year, month, day, hour, minute, second] = found
    .slice(1, 7)
    .map((part) => Number(part ?? 0)) as [number, number, number, number, number, number];
  const [offsetHour, offsetMinute, offsetSecond] = found
    .slice(9, 12)
    .map((part) => Number(part ?? 0)) as [number, number, number];
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  if (offsetHour > 23 || offsetMinute > 59 || offsetSecond > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day); // not Date.UTC, to which the year 99 is 1999
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offset = (offsetHour * 60 + offsetMinute) * 60 + offsetSecond;
  return (
    (date.getTime() / 1000 / DAY) * DAY +
    (hour * 60 + minute) * 60 +
    second -
    (found[8] === "-" ? -offset : offset)
  );
}
