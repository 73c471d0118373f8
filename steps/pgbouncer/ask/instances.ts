import type { PgbouncerAccess } from "../../../providers/pgbouncer/contract.ts";
import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";

export const INSTANCES = {
  type: "array",
  minItems: 1,
  items: { type: "string", minLength: 1 },
  description: "Names of PgBouncers; all of the cluster without it",
} as const;

export const HOLDER = {
  type: "string",
  minLength: 1,
  maxLength: 200,
  description: "On whose behalf; this run without it",
} as const;

/** Longer than that the follower holds nobody back, or waits. */
const MOST_MINUTES = { cap: 10, wait: 4 };

/** The names that are meant. @throws PgdbaError invalid_param */
export function meant(
  { instances }: PgbouncerAccess,
  names: readonly string[] | undefined,
): string[] {
  const all = instances.map(({ name }) => name);
  const unknown = names?.find((name) => !all.includes(name));
  if (unknown === undefined) return names === undefined ? all : [...new Set(names)];
  throw new PgdbaError("invalid_param", `There is no PgBouncer ${unknown}`, {
    hint: `There are: ${all.join(", ")}.`,
  });
}

/** Does it to all at once, waits for all, and throws the first error with what became of the others. */
export async function each(
  names: readonly string[],
  work: (name: string) => Promise<void>,
): Promise<void> {
  const ended = await Promise.allSettled(names.map(work));
  const failed = ended.flatMap((one, at) =>
    one.status === "rejected" ? [{ name: names[at], error: toPgdbaError(one.reason) }] : [],
  );
  const [first] = failed;
  if (first === undefined) return;
  const { code, message, hint, retryable, data, cause } = first.error;
  const others = failed.slice(1).map(({ name }) => name);
  throw new PgdbaError(
    code,
    others.length === 0 ? message : `${message} (and ${others.join(", ")})`,
    {
      hint,
      retryable,
      data,
      cause,
      nothingDone:
        failed.length === names.length && failed.every(({ error }) => error.nothingDone === true),
    },
  );
}

/** @throws PgdbaError invalid_param */
export function withinBounds(what: "cap" | "wait", ms: number): number {
  const most = MOST_MINUTES[what];
  if (ms >= 1 && ms <= most * 60_000) return ms;
  throw new PgdbaError("invalid_param", `\`${what}\` must be from 1ms to ${most}m`, {
    hint: "PgBouncer cuts clients off that wait longer than its query_wait_timeout, by default two minutes.",
  });
}
