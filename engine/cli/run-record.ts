import type { Caller } from "../journal/holder.ts";
import type { RunRow, StepRow } from "../journal/journal.ts";
import type { RunRecord } from "../view/run-record.ts";

/** A run of the journal in the shape that the report and `runs ID` show. */
export function runRecord(row: RunRow, steps: StepRow[]): RunRecord {
  return {
    id: row.id,
    runbook: row.runbook,
    status: row.status,
    started_at: row.started_at,
    finished_at: row.finished_at,
    duration_ms: row.duration_ms,
    target: row.target.name,
    risk: row.risk,
    ...(row.judged === null
      ? {}
      : {
          hazards: row.judged.hazards,
          locks: row.judged.locks,
          without_backup: row.judged.withoutBackup,
        }),
    plan: row.plan,
    params: row.params,
    steps: steps.map((step) => ({
      path: step.path,
      id: step.id,
      type: step.type,
      // An intent without an outcome: nobody knows.
      status: step.result?.status ?? "unknown",
      changed: step.result?.changed ?? false,
      attempts: step.result?.attempts ?? 1,
      started_at: step.started_at,
      duration_ms: step.result?.duration_ms ?? 0,
      output: step.result?.output ?? null,
      error: step.result?.error ?? null,
      phase: step.phase,
    })),
    output: row.output,
    error: row.error,
    exit: row.exit,
    caller: callerText(row.holder.caller),
    holder: `${row.holder.user}@${row.holder.host}, pid ${row.holder.pid}`,
  };
}

/** With how it is known: what a variable says is a claim. */
export function callerText(caller: Caller | undefined): string | null {
  if (!caller?.name) return null;
  return caller.by === null ? caller.name : `${caller.name} (${caller.by})`;
}
