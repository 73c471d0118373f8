import type { StepRow } from "../journal/rows.ts";
import type { ErrorRecord, Json, Risk, RunStatus, StepResult, Hazard, LockWord } from "../types.ts";

/** A step of a recorded run; an undone one appears twice, the second time in the `undo` phase. */
export interface StepRecord extends StepResult {
  path: string;
  id: string;
  type: string;
  phase: StepRow["phase"];
}

/** A run as the journal remembers it; secrets and the output of sensitive steps are already masked. */
export interface RunRecord {
  id: string;
  runbook: string;
  status: RunStatus;
  started_at: string;
  /** Null while it runs, and when the engine died. */
  finished_at: string | null;
  duration_ms: number | null;
  target: string;
  risk: Risk;
  /** These three are not known of runs of older versions. */
  hazards?: readonly Hazard[];
  locks?: readonly LockWord[];
  without_backup?: boolean;
  plan: boolean;
  params: Json;
  steps: StepRecord[];
  output: Json;
  error: ErrorRecord | null;
  exit: number | null;
  /** The caller, and how we know it; null when we don't. */
  caller: string | null;
  /** The process that ran it: user, host and process id. */
  holder: string;
}
