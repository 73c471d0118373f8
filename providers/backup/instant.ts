/**
 * A point in time that a person writes. It must say which clock it is of: an offset, `Z`, or a zone (`Europe/Berlin`). A local time that a change
 * of clocks repeats or leaves out is refused.
 */
import { PgdbaError } from "../../engine/errors.ts";
import { zoneOffset } from "../../engine/shared/zone.ts";

/** Microseconds since 1970, as exact as PostgreSQL's own times. */
export type Micros = bigint;

const TEXT =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ]+)(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?\s*(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?|[A-Za-z]+(?:[/_+-][A-Za-z0-9]+)+)?$/;
const OFFSET = /^([+-])(\d{2}):?(\d{2})?$/;
const EXAMPLE =
  'Write it such as "2026-03-01 14:03:00+01", "2026-03-01T13:03:00Z" or "2026-03-01 14:03 Europe/Berlin".';
const MINUTE = 60_000;

/** @throws PgdbaError invalid_param */
export function parseInstant(text: string): Micros {
  const found = TEXT.exec(text.trim());
  if (!found) throw refused(`${text} is no point in time`, EXAMPLE);
  const [year, month, day, hour, minute] = found.slice(1, 6).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const second = Number(found[6] ?? 0);
  const fraction = BigInt((found[7] ?? "").padEnd(6, "0"));
  const zone = found[8];
  if (zone === undefined) {
    throw refused(
      `${text} does not say of which timezone it is`,
      `A restore to a wrong hour loses what was written. ${EXAMPLE}`,
    );
  }
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  const back = new Date(local);
  const isReal =
    back.getUTCFullYear() === year &&
    back.getUTCMonth() === month - 1 &&
    back.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60;
  if (!isReal) throw refused(`There is no ${found[0]}`, EXAMPLE);
  return BigInt(local - offsetOf(zone, local, text)) * 1000n + fraction;
}

/** Milliseconds that the zone's clock is ahead of UTC's when it shows `local`. */
function offsetOf(zone: string, local: number, text: string): number {
  if (/^(Z|UTC|GMT)$/.test(zone)) return 0;
  const offset = OFFSET.exec(zone);
  if (offset) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3] ?? 0);
    if (minutes > 15 * 60 + 59) throw refused(`${zone} is no offset from UTC`, EXAMPLE);
    return (offset[1] === "-" ? -minutes : minutes) * MINUTE;
  }
  const shown = (at: number) => {
    try {
      return zoneOffset(zone, at);
    } catch {
      throw refused(`There is no timezone ${zone}`, EXAMPLE);
    }
  };
  // A zone's clock is at most a day off, and changes at most once in so short a time.
  const candidates = [shown(local - 86_400_000), shown(local + 86_400_000)];
  const fitting = [...new Set(candidates)].filter((ahead) => shown(local - ahead) === ahead);
  if (fitting.length === 1) return fitting[0]!;
  const both = fitting.map((ahead) => iso(BigInt(local - ahead) * 1000n));
  throw refused(
    fitting.length === 0
      ? `The clocks of ${zone} never showed ${text}: they were put forward over it`
      : `The clocks of ${zone} showed ${text} twice`,
    fitting.length === 0 ? EXAMPLE : `Say which one: ${both.join(" or ")}.`,
  );
}

/** `2026-03-01T13:03:00Z`, with as many digits as there are. */
export function iso(at: Micros): string {
  const whole = new Date(Number(at / 1000n)).toISOString();
  const rest = at % 1_000_000n;
  const digits = rest === 0n ? "" : `.${rest.toString().padStart(6, "0").replace(/0+$/, "")}`;
  return `${whole.slice(0, 19)}${digits}Z`;
}

export const micros = (at: Date): Micros => BigInt(at.getTime()) * 1000n;

const refused = (message: string, hint: string) =>
  new PgdbaError("invalid_param", message, { hint });
