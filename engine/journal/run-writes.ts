import type { Database } from "bun:sqlite";
import { PgdbaError } from "../errors.ts";
import type { JsonObject, RunStatus } from "../types.ts";
import { type AuditEntry, beginOf, digestOf, restOf } from "./audit.ts";
import type { Holder } from "./holder.ts";
import type { RunHeader } from "./rows.ts";

/** Inserts the row of a run. @returns its entry of the audit. `view` is JSON, null where it held a secret */
export function insertRun(db: Database, row: RunHeader, view: string | null): AuditEntry {
  db.query(
    `INSERT INTO run (id, runbook, digest, docs, params, target, risk, plan, holder, status, started_at, view, judged)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?)`,
  ).run(
    row.id,
    row.runbook,
    row.digest,
    JSON.stringify(row.docs),
    JSON.stringify(row.params),
    JSON.stringify(row.target),
    row.risk,
    row.plan ? 1 : 0,
    JSON.stringify(row.holder),
    row.started_at,
    view,
    JSON.stringify(row.judged),
  );
  const { id, runbook, risk, plan, holder: by, approval = null, said = {} } = row;
  const about = { runbook, target: row.target.name, risk, plan, by, said, ...beginOf(db, id) };
  const entry = { kind: "began", at: row.started_at, run: id, approval } as const;
  return { ...entry, about: about as unknown as JsonObject };
}

/** Writes that another process has the run now. @throws PgdbaError lock_held when a third was quicker */
export function changeHolder(db: Database, run: string, holder: Holder, before: Holder): void {
  const done = db
    .query("UPDATE run SET holder = ?, status = 'running', exit = NULL WHERE id = ? AND holder = ?")
    .run(JSON.stringify(holder), run, JSON.stringify(before));
  if (done.changes === 1) return;
  throw new PgdbaError("lock_held", `Run ${run} was just taken over by another process`, {
    hint: "`pgdba runs` shows its state.",
  });
}

/** Writes the end of a run; `output` and `error` are JSON. @returns its entry of the audit, with digests of its steps and more where `steps` says so */
export function endRun(
  db: Database,
  run: string,
  end: {
    status: RunStatus;
    exit: number;
    finished_at: string;
    duration_ms: number;
    output: string;
    error: string | null;
    steps: boolean;
  },
): AuditEntry {
  const { status, exit, finished_at, duration_ms, output, error } = end;
  db.query(
    `UPDATE run SET status = ?, exit = ?, finished_at = ?, duration_ms = ?, output = ?, error = ? WHERE id = ?`,
  ).run(status, exit, finished_at, duration_ms, output, error, run);
  const rest = end.steps ? restOf(db, run) : {};
  const about = { status, exit, ...digestOf(db, run), ...rest };
  return { kind: "ended", at: finished_at, run, about };
}

export function markOpen(db: Database, run: string): void {
  db.query("UPDATE step SET status = 'unknown' WHERE run = ? AND status = 'open'").run(run);
}
