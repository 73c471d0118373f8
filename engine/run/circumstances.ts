import type { JsonObject, Risk, Target } from "../types.ts";

/** The circumstances of a run at its beginning, for a person who wants to know all. */
export function circumstances(
  { target, plan }: { target: Pick<Target, "name">; plan: boolean },
  risk: Risk,
  view: JsonObject,
  locked: boolean,
): string[] {
  const facts = Object.entries(view)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([key, value]) => `${key} ${String(value)}`);
  return [
    view["identity"] === null
      ? "No server had to be reached"
      : `Reached ${target.name}: ${facts.join(", ")}`,
    `The gates let ${plan ? "a plan" : `a run of the risk ${risk}`} through`,
    locked ? `Holds the lock on ${target.name}` : "Needs no lock",
  ];
}
