import { PgdbaError } from "../../../engine/errors.ts";
import { parseDuration } from "../../../engine/shared/units.ts";

/** Milliseconds: an age or, absolute, a time since 1970; null for the last one. */
export type Since = { age: number } | { time: number } | null;

/** Wrapped, as null means the last snapshot. @throws PgdbaError invalid_param */
export function parseSince(text: string): { since: Since } {
  if (text === "last") return { since: null };
  const [, date, , zone] =
    /^(\d{4}-\d\d-\d\d([T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?)(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? [];
  const time =
    date === undefined
      ? NaN
      : Date.parse(`${date.replace(" ", "T")}${date.length > 10 ? (zone ?? "Z") : ""}`);
  if (!Number.isNaN(time)) return { since: { time } };
  try {
    return { since: { age: parseDuration(text) } };
  } catch (cause) {
    throw new PgdbaError(
      "invalid_param",
      `since: ${JSON.stringify(text.slice(0, 60))} is no time and no age`,
      {
        cause,
        hint: "Give last, an age such as 1h or 7d, or a time such as 2026-02-22T10:00:00Z.",
      },
    );
  }
}
