/** What comes of a step and of a run: results, events, and the envelope. */
import type { ErrorCode } from "../errors.ts";
import type { Json, Where } from "../json.ts";

/** The progress of a step: `{done: 3, total: 8, unit: "bytes", text: "building index"}`, or a part of that. `bytes` is shown as sizes. */
export interface Progress {
  done?: number | null;
  total?: number | null;
  unit?: string | null;
  text?: string | null;
}

export type StepStatus =
  | "ok"
  | "skipped"
  | "failed"
  | "cancelled"
  | "recovered"
  | "unknown"
  | "previewed"
  | "not_previewable"
  | "undetermined";

export interface ErrorRecord {
  code: ErrorCode;
  message: string;
  step: string | null;
  where: Where | null;
  hint: string | null;
  retryable: boolean;
  data?: Json;
  /** True when no rescue may take it, though its code does not say so. */
  final?: true;
}

/** The variable `steps.<id>` of expressions, which the journal and the envelope keep too. */
export interface StepResult {
  status: StepStatus;
  changed: boolean;
  attempts: number;
  started_at: string;
  duration_ms: number;
  output: Json;
  error: ErrorRecord | null;
}

export type RunStatus =
  | "running"
  | "ok"
  | "planned"
  | "failed"
  | "undone"
  | "needs_operator"
  /** It stopped at a question that nobody could be asked; resumed, it goes on. */
  | "waiting"
  | "interrupted";

export type Event = { at: string; run: string } & (
  | { kind: "run.started"; runbook: string; plan: boolean; target: string; steps: number }
  | { kind: "run.resumed"; runbook: string }
  /** Something that only matters to whoever wants to know all. */
  | { kind: "run.log"; message: string }
  | { kind: "lock.waiting"; holder: string }
  /** `item` names the item of a loop. */
  | { kind: "step.started"; path: string; id: string; type: string; depth: number; item?: string }
  | { kind: "step.retrying"; path: string; attempt: number; delay_ms: number; error: ErrorRecord }
  | { kind: "step.log"; path: string; level: "info" | "warn"; message: string }
  /** The progress; any part of it may be unknown. At most five events of one step in a second. */
  | ({ kind: "step.progress"; path: string } & Required<Progress>)
  | ({ kind: "step.finished"; path: string; id: string; type: string } & Pick<
      StepResult,
      "status" | "changed" | "duration_ms" | "error"
    >)
  | { kind: "undo.started"; path: string }
  | { kind: "undo.finished"; path: string; error: ErrorRecord | null }
  | { kind: "run.interrupting"; signal: string; forced: boolean }
  | { kind: "run.finished"; status: RunStatus; exit: number; duration_ms: number }
);

export type Listener = (event: Event) => void;

export interface Envelope {
  success: boolean;
  timestamp: string;
  command: string;
  data: Json;
  error: (ErrorRecord & { run?: Json }) | null;
}
