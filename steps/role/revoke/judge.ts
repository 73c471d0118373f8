import { PgdbaError } from "../../../engine/errors.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type { Use } from "../own.ts";
import { type Ask, bare, type Found, find, isPublic, type Wanted } from "./look.ts";

/** Other rights depend on it: the role has granted on what it may grant. */
const GRANTED_ON = "2BP01";

/** @throws PgdbaError step_refused while somebody lives on it who is not to keep it */
export function refuseUntold(found: Found, wanted: Wanted): void {
  if (found.lost.length > 0) throw untold(found, wanted);
}

export function untold({ lost }: Found, { from }: Wanted): PgdbaError {
  const roles = [...new Set(lost.map(({ role }) => role))];
  const first = roles.slice(0, 5).map((role) => {
    const mine = lost.filter((one) => one.role === role);
    const what = mine
      .slice(0, 3)
      .map(
        ({ rights, kind, count, names }) =>
          `${rights} on ${count === 1 ? names[0] : `${count} ${kind}s`}`,
      );
    const sessions = mine[0]?.sessions ?? 0;
    return `${role}${sessions > 0 ? ` (${sessions} sessions)` : ""}: ${what.join(", ")}`;
  });
  const more = roles.length > first.length ? `; and ${roles.length - first.length} more roles` : "";
  return new PgdbaError(
    "step_refused",
    `These live on what ${isPublic(from) ? "PUBLIC" : from} has, and have it by nothing else: ${first.join("; ")}${more}`,
    {
      hint: "Name in --keep those that are to keep it, or * for all: they are granted it themselves before. With --others-lose all others lose it. --plan lists them all.",
    },
  );
}

export function explained(error: unknown): never {
  if (sqlstateOf(error) !== GRANTED_ON) throw error;
  throw new PgdbaError(
    "step_refused",
    `The role has granted on what it may grant: ${(error as Error).message}`,
    {
      hint: "Take it first from those who have it from this role; pgdba role rights tells from whom a right comes.",
      cause: error,
    },
  );
}

/** Who may not give a right gets a warning only, and no error. */
export async function refuseUngranted(run: Ask, wanted: Wanted, { keep }: Found): Promise<void> {
  const lacks = await bare(run, { ...wanted, keep });
  if (lacks.length === 0) return;
  const first = lacks.slice(0, 5).map(({ role, right, name }) => `${right} on ${name} to ${role}`);
  throw new PgdbaError(
    "step_failed",
    `The server did not grant ${first.join(", ")}, and nothing was changed`,
    { hint: "Connect as the owner or as a superuser." },
  );
}

/** Nor does who may not take one. */
export async function readBack(run: Ask, wanted: Wanted): Promise<void> {
  const { taken, later } = await find(run, { ...wanted, keep: [] });
  const left = [
    ...taken.map(({ right, name }) => `${right} on ${name}`),
    ...later.map(({ rights, kind, maker }) => `${rights} on ${kind} of ${maker}`),
  ];
  if (left.length > 0)
    throw new PgdbaError(
      "step_failed",
      `${wanted.from} still has ${left.slice(0, 5).join(", ")}, and nothing was changed`,
      {
        hint: "Connect as the owner, as who gave it, or as a superuser.",
      },
    );
}

/** @throws PgdbaError step_refused where an account of the cluster would be locked out, whatever is said of others */
export function refuseOwnLost({ lost }: Found, accounts: ReadonlyMap<string, Use>): void {
  for (const { role, rights, names } of lost) {
    const found = accounts.get(role);
    if (found === undefined) continue;
    throw new PgdbaError(
      "step_refused",
      `${role} is ${found.use}, and would lose ${rights} on ${names.join(", ")}`,
      { hint: `Name it in --keep: --keep ${role}.` },
    );
  }
}
