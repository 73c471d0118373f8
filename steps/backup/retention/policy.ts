/** The rules that say which backups stay. */

export const PERIODS = ["daily", "weekly", "monthly", "yearly"] as const;
export type Period = (typeof PERIODS)[number];

export interface Policy {
  /** The newest so many verified full ones, and all that is newer than the oldest of these. */
  keepFull?: number | undefined;
  /** Every moment of so many days can be restored. */
  keepDays?: number | undefined;
  /** The last verified one of each of the newest so many days, weeks, months and years that have one. */
  gfs?: Partial<Record<Period, number>> | undefined;
  /** The time zone in which a day begins and ends. */
  zone: string;
}

/** True when it says anything at all: without a rule nothing is ever removed. */
export function hasRule({ keepFull, keepDays, gfs = {} }: Policy): boolean {
  return keepFull !== undefined || keepDays !== undefined || PERIODS.some((period) => gfs[period]);
}
