/** What of a schedule is to be done now. Pure. */
import { lastTime, nextTimes } from "./cron.ts";
import type { Entry } from "./keeper.ts";

/** A time that passed longer ago is not made up for. */
const FRESH_MS = 60_000;
/** More are not counted. */
const MOST = 10_000;

export interface Due {
  /** The time for which it is to run now; null for none. */
  due: Date | null;
  /** The times since then that have passed for good. */
  missed: { count: number; at: Date } | null;
}

/** Of the times after `since`, up to `now`. */
export function dueAt({ cron, timezone }: Entry, since: Date, now: Date): Due {
  const [first] = nextTimes(cron, timezone, since, 1);
  const last = first === undefined || first > now ? null : lastTime(cron, timezone, now);
  if (last === null || last <= since) return { due: null, missed: null };
  const times = nextTimes(cron, timezone, since, MOST).filter((at) => at <= last);
  const isFresh = now.getTime() - last.getTime() < FRESH_MS;
  const gone = isFresh ? times.filter((at) => at < last) : times;
  const at = gone.at(-1);
  return {
    due: isFresh ? last : null,
    missed: at === undefined ? null : { count: gone.length, at },
  };
}
