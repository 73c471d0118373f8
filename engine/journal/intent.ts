import type { Database } from "bun:sqlite";
import type { Intent } from "./rows.ts";

/** Records that a step is about to act: the results of its earlier attempts, and statements of people about them, no longer hold. */
export function recordIntent(
  db: Database,
  run: string,
  { path, id, type, phase, started_at, attempts, input_digest, undo_digest }: Intent,
  { input, undo }: { input: string; undo: string | null },
): void {
  db.query(
    `INSERT INTO step (run, path, id, type, phase, status, input, undo, started_at, attempts, input_digest, undo_digest)
     VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?, ?, ?, ?)
     ON CONFLICT (run, path) DO UPDATE SET status = 'open', input = excluded.input, undo = excluded.undo,
       attempts = excluded.attempts, input_digest = excluded.input_digest, undo_digest = excluded.undo_digest,
       result = NULL, assumed = NULL`,
  ).run(
    run,
    path,
    id,
    type,
    phase,
    input,
    undo,
    started_at,
    attempts ?? null,
    input_digest ?? null,
    undo_digest ?? null,
  );
}
