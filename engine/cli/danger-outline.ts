import type { Runbook } from "../types.ts";

/** What a runbook does in any case beside its risk, as it is listed and shown. */
export function dangerOutline({
  hazards,
  needs,
  gives,
  locks,
}: Runbook): Pick<Runbook, "hazards" | "needs" | "gives" | "locks"> {
  return { hazards, needs, gives, locks };
}
