/** Findings of health checks as samples. Pure. */
import { flat } from "../findings/findings.ts";
import { SEVERITIES } from "../check/words.ts";
import type { Checked } from "../serve/probes.ts";
import type { Sample } from "./exposition.ts";

/** 0 nothing found, 1 info, 2 warning, 3 critical. */
const rankOf = (severity: string): number =>
  SEVERITIES.length - SEVERITIES.findIndex((word) => word === severity);

/** `groups`: that of each check. */
export function checkSamples(
  { findings, passed, skipped, errors, partial, summary }: Checked,
  groups: Readonly<Record<string, string>>,
): Sample[] {
  const worst = new Map<string, number>(passed.map((check) => [check, 0]));
  for (const { check, severity } of flat(findings))
    worst.set(check, Math.max(worst.get(check) ?? 0, rankOf(severity)));
  const states = [...worst].map(([check, value]) => ({
    name: "pgdba_check_state",
    labels: { check, group: groups[check] ?? "" },
    value,
  }));
  const unexamined = [
    ...skipped
      .filter(({ code }) => !APPLIES_NOT.has(code))
      .map(({ check }) => ({ check, why: "skipped" })),
    ...errors.map(({ check }) => ({ check, why: "error" })),
    ...partial.map(({ check }) => ({ check, why: "partial" })),
  ].map((labels) => ({ name: "pgdba_check_unexamined", labels, value: 1 }));
  return [
    ...states,
    ...SEVERITIES.map((severity) => ({
      name: "pgdba_check_findings",
      labels: { severity },
      value: Number(summary[severity]),
    })),
    ...unexamined,
  ];
}

/** A check for another version or role says nothing of this server. */
const APPLIES_NOT: ReadonlySet<string> = new Set(["version", "role"]);

/** The fullest sequence of each database, by the findings of a check that lists all of them. */
export function sequenceSamples({ findings }: Pick<Checked, "findings">): Sample[] {
  const used = new Map<string, number>();
  for (const { check, database, evidence } of flat(findings)) {
    const percent = Number(evidence["used_percent"] ?? NaN);
    if (check !== "sequence-exhausted" || database === null || Number.isNaN(percent)) continue;
    used.set(database, Math.max(used.get(database) ?? 0, percent));
  }
  return [...used].map(([datname, percent]) => ({
    name: "pgdba_sequence_used_ratio_max",
    labels: { datname },
    value: percent / 100,
  }));
}
