import type { Runbook } from "../types.ts";

/** The danger of a runbook in any case, beside its risk, for lists and pages. */
export function dangerOutline({
  hazards,
  needs,
  gives,
  locks,
}: Runbook): Pick<Runbook, "hazards" | "needs" | "gives" | "locks"> {
  return { hazards, needs, gives, locks };
}
