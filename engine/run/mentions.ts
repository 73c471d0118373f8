import type { Json, Runbook } from "../types.ts";

/** True when a text of these runbooks may be an expression about the target: then its facts are asked for, even if no step needs them. */
export function mentionsTarget(runbooks: Iterable<Runbook>): boolean {
  for (const { doc } of runbooks) {
    const { steps, output } = doc.data;
    if (inAny([steps ?? null, output ?? null])) return true;
  }
  return false;
}

function inAny(value: Json): boolean {
  if (typeof value === "string") return /\btarget\b/.test(value);
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(inAny);
}
