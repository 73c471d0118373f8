import type { RunStatus, StepStatus } from "../types.ts";
import type { Color } from "./color.ts";

export interface Mark {
  mark: string;
  color: Color;
}

/** The mark of each status of a step, in every view. */
export const STEP_MARKS: Readonly<Record<StepStatus, Mark>> = {
  ok: { mark: "✔", color: "green" },
  skipped: { mark: "↓", color: "dim" },
  failed: { mark: "✖", color: "red" },
  cancelled: { mark: "⊘", color: "yellow" },
  recovered: { mark: "↺", color: "yellow" },
  unknown: { mark: "?", color: "red" },
  previewed: { mark: "◇", color: "cyan" },
  not_previewable: { mark: "◆", color: "yellow" },
  undetermined: { mark: "~", color: "yellow" },
};

/** The mark of each status of a run, and its words. */
export const RUN_MARKS: Readonly<Record<RunStatus, Mark & { said: string }>> = {
  running: { mark: "…", color: "cyan", said: "running" },
  ok: { mark: "✔", color: "green", said: "done" },
  planned: { mark: "◇", color: "cyan", said: "planned, nothing was changed" },
  failed: { mark: "✖", color: "red", said: "failed" },
  undone: { mark: "↩", color: "yellow", said: "failed and undone" },
  needs_operator: { mark: "!", color: "red", said: "failed, a person must look" },
  waiting: { mark: "?", color: "yellow", said: "waiting for an answer" },
  interrupted: { mark: "⊘", color: "yellow", said: "interrupted" },
};

const NONE: Mark = { mark: "·", color: "dim" };

/** The mark of a status that was read from data, of a step or of a run. */
export function markOf(status: unknown): Mark {
  if (typeof status !== "string") return NONE;
  if (Object.hasOwn(STEP_MARKS, status)) return STEP_MARKS[status as StepStatus];
  if (Object.hasOwn(RUN_MARKS, status)) return RUN_MARKS[status as RunStatus];
  return NONE;
}

/** Severities of findings, the worst first; others come after these in the order met. */
const SEVERITIES: Readonly<Record<string, Mark>> = {
  critical: { mark: "✖", color: "red" },
  error: { mark: "✖", color: "red" },
  warning: { mark: "▲", color: "yellow" },
  notice: { mark: "●", color: "cyan" },
  info: { mark: "●", color: "cyan" },
  ok: { mark: "✔", color: "green" },
};

export function severityMark(severity: string): Mark {
  return SEVERITIES[severity.toLowerCase()] ?? NONE;
}

/** Severities present, the worst first. */
export function bySeverity<T extends { severity: string }>(
  findings: readonly T[],
): [string, T[]][] {
  const known = Object.keys(SEVERITIES);
  const rank = (severity: string) => {
    const at = known.indexOf(severity.toLowerCase());
    return at < 0 ? known.length : at;
  };
  return [...Map.groupBy(findings, (finding) => finding.severity)].sort(
    ([a], [b]) => rank(a) - rank(b),
  );
}
