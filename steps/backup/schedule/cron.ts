/** When an expression of cron fires. The arithmetic is Bun's; the tests compare it with croner's. */
import { PgdbaError } from "../../../engine/errors.ts";

const NICKNAMES = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];
const FIELD = /^[\dA-Za-z*/,-]+$/;
const MINUTE = 60_000;
/** To look back in: the first in which it fires has not many firings to go through. */
const BACK_MS = [
  61 * MINUTE,
  25 * 60 * MINUTE,
  8 * 1440 * MINUTE,
  32 * 1440 * MINUTE,
  367 * 1440 * MINUTE,
  1500 * 1440 * MINUTE,
];

/** Spaces one each. @throws PgdbaError invalid_param for what no cron takes, or what never fires */
export function checkedCron(text: string, zone: string, now: Date): string {
  const fields = text.trim().split(/[ \t]+/);
  const known =
    fields.length === 5
      ? fields.every((field) => FIELD.test(field))
      : fields.length === 1 && NICKNAMES.includes(text.trim());
  const bad = (why: string, cause?: unknown) =>
    new PgdbaError("invalid_param", `${JSON.stringify(text.slice(0, 100))} ${why}`, {
      cause,
      hint: 'Five fields: minute, hour, day, month, weekday. "0 2 * * *" is every night at two, "*/15 * * * *" every quarter of an hour, "0 3 * * 0" Sundays at three.',
    });
  if (!known) throw bad("is no expression of cron");
  try {
    if (Bun.cron.parse(fields.join(" "), now, { tz: zone }) === null) throw bad("never fires");
  } catch (error) {
    if (error instanceof PgdbaError) throw error;
    throw bad(`is no expression of cron, or ${zone} no time zone`, error);
  }
  return fields.join(" ");
}

/** The next `count` times after `from`. */
export function nextTimes(cron: string, zone: string, from: Date, count: number): Date[] {
  const times: Date[] = [];
  for (
    let at = Bun.cron.parse(cron, from, { tz: zone });
    at !== null && times.length < count;
    at = Bun.cron.parse(cron, at, { tz: zone })
  )
    times.push(at);
  return times;
}

/** The last time up to `now`; null when it did not fire for years. */
export function lastTime(cron: string, zone: string, now: Date): Date | null {
  for (const back of BACK_MS) {
    let last: Date | null = null;
    let at = Bun.cron.parse(cron, new Date(now.getTime() - back), { tz: zone });
    for (; at !== null && at <= now; at = Bun.cron.parse(cron, at, { tz: zone })) last = at;
    if (last !== null) return last;
  }
  return null;
}

/** True when it fires at the same moments in both zones, over a year with its changes of the clock. */
export function isSameIn(cron: string, one: string, other: string, from: Date): boolean {
  if (one === other) return true;
  const quarters = [0, 91, 182, 273].map((days) => new Date(from.getTime() + days * 1440 * MINUTE));
  return quarters.every(
    (at) => nextTimes(cron, one, at, 20).join() === nextTimes(cron, other, at, 20).join(),
  );
}
