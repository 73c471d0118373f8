import type { ErrorRecord, Json, JsonObject, Risk, RunStatus, StepResult } from "../types.ts";
import type { Holder } from "./holder.ts";

/** What a run is, as recorded before its first step. */
export interface RunHeader {
  id: string;
  runbook: string;
  digest: string;
  docs: Record<string, { data: JsonObject; file: string; digest: string }>;
  params: JsonObject;
  target: { name: string; identity: string | null; flags: JsonObject };
  risk: Risk;
  plan: boolean;
  holder: Holder;
  started_at: string;
}

export interface RunRow extends RunHeader {
  status: RunStatus;
  exit: number | null;
  finished_at: string | null;
  duration_ms: number | null;
  cancelled: string | null;
  output: Json;
  error: ErrorRecord | null;
}

export type Phase = "main" | "undo";

export interface StepRow {
  path: string;
  id: string;
  type: string;
  phase: Phase;
  /** `open`: the step may or may not have acted. */
  status: StepResult["status"] | "open";
  /** True when a secret was masked in the result, so that it can't be used again. */
  masked: boolean;
  result: StepResult | null;
  undo: Json;
  started_at: string;
}

/** What is written before a step acts. */
export interface Intent {
  path: string;
  id: string;
  type: string;
  phase: Phase;
  input: Json;
  undo: Json;
  started_at: string;
}

/** A row of `run` as SQLite gives it: JSON as text. */
export type RawRun = Omit<
  RunRow,
  "docs" | "params" | "target" | "plan" | "holder" | "output" | "error"
> &
  Record<"docs" | "params" | "target" | "holder", string> &
  Record<"output" | "error", string | null> & { plan: number };

/** A row of `step`, likewise. */
export type RawStep = Omit<StepRow, "masked" | "result" | "undo"> &
  Record<"result" | "undo", string | null> & { masked: number };

export function readRun(row: RawRun): RunRow {
  return {
    ...row,
    docs: JSON.parse(row.docs) as RunRow["docs"],
    params: JSON.parse(row.params) as JsonObject,
    target: JSON.parse(row.target) as RunRow["target"],
    plan: row.plan === 1,
    holder: JSON.parse(row.holder) as Holder,
    output: row.output === null ? null : (JSON.parse(row.output) as Json),
    error: row.error === null ? null : (JSON.parse(row.error) as ErrorRecord),
  };
}

export function readStep(row: RawStep): StepRow {
  return {
    path: row.path,
    id: row.id,
    type: row.type,
    phase: row.phase,
    status: row.status,
    masked: row.masked === 1,
    result: row.result === null ? null : (JSON.parse(row.result) as StepResult),
    undo: row.undo === null ? null : (JSON.parse(row.undo) as Json),
    started_at: row.started_at,
  };
}
