import type { JsonObject, LockWord, Risk, Target } from "../types.ts";

/** The circumstances of a run at its beginning, for a person who wants to know all. */
export function circumstances(
  { target, plan }: { target: Pick<Target, "name">; plan: boolean },
  risk: Risk,
  view: JsonObject,
  locked: readonly LockWord[] | null,
): string[] {
  const facts = Object.entries(view)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([key, value]) => `${key} ${String(value)}`);
  return [
    view["identity"] === null
      ? "No server had to be reached"
      : `Reached ${target.name}: ${facts.join(", ")}`,
    `The gates let ${plan ? "a plan" : `a run of the risk ${risk}`} through`,
    locked === null
      ? "Needs no lock"
      : locked.length === 0
        ? `Locks nothing of ${target.name}`
        : `Holds the lock on ${target.name} (${locked.join(", ")})`,
  ];
}
