import { ALLOW, type GateInput, nameOf, told, type Verdict } from "./verdict.ts";

/** True when a verified backup is taken before the run acts. */
export function takesBackup(input: GateInput): boolean {
  return wantsBackup(input) && input.flags.withoutBackup === null && isBackupThere(input);
}

/** True when one would be taken, and a person said that the run goes on without it. */
export function skipsBackup(input: GateInput): boolean {
  return wantsBackup(input) && input.flags.withoutBackup !== null;
}

/** A cluster that is absent, or there only in part, has no data to lose. */
function wantsBackup({ danger, target: { state }, runbook, plan, backup }: GateInput): boolean {
  if (plan || danger.backup === null || backup.runbooks.includes(runbook)) return false;
  return state !== "partial" && state !== "absent";
}

function isBackupThere({ backup: { runbooks, lacks } }: GateInput): boolean {
  return runbooks.length === 1 && lacks.length === 0;
}

export function backup(input: GateInput): Verdict {
  if (input.resumed || !wantsBackup(input)) return ALLOW;
  const { danger, flags, runbook, target: to } = input;
  const name = nameOf(input);
  if (flags.withoutBackup === name) return ALLOW;
  if (flags.withoutBackup === null && isBackupThere(input)) return ALLOW;
  const { runbooks, lacks } = input.backup;
  const [only] = runbooks;
  const why =
    flags.withoutBackup !== null
      ? `--without-backup names ${flags.withoutBackup}, and the run is on ${name}`
      : only === undefined
        ? "there is no runbook that takes a verified backup first"
        : runbooks.length > 1
          ? `several runbooks would take a verified backup first: ${runbooks.join(", ")}`
          : `${only}, which would take a verified backup first, needs ${lacks.join(", ")}, which ${to.name} does not have`;
  return {
    answer: "refuse",
    gate: "backup",
    code: "gate_refused",
    reason: `${told(danger.backup ?? undefined, runbook)} may lose data for good, and ${why}`,
    hint:
      runbooks.length > 1
        ? "Let one of them only say `gives: [verified_backup]`; an empty list takes it back from one that extends another."
        : `${wayTo(input)}; to go on without any, give --without-backup=${name}.`,
    opens: [`--without-backup=${name}`],
  };
}

/** What the target lacks for the backup is told how to get; where there is no such runbook, what one is. */
function wayTo({ backup: { runbooks, lacks }, target: { ways } }: GateInput): string {
  if (runbooks.length === 0)
    return "Add a runbook with `gives: [verified_backup]` whose output has `verified: true`";
  const told = lacks.flatMap((word) => ways?.[word] ?? []);
  return told.length > 0
    ? told.join(". ")
    : `Give it what it lacks: ${lacks.join(", ") || "nothing"}`;
}
