import type { Database } from "bun:sqlite";
import type { Json } from "../types.ts";
import { damagedRecord } from "./rows.ts";

/**
 * The things that a run sees beside the ends of its actions: that a block was skipped, the list of a loop, why an attempt at a block or
 * a called runbook failed, or their output, or the block after its last attempt; that a point of no return was come to;
 * what a step noted of itself.
 */
export type Saw = "skipped" | "list" | "failure" | "output" | "end" | "kept" | "note";

/** Records that wait for the disk by themselves: they must hold before anything else is done. */
export const AT_ONCE: readonly Saw[] = ["kept", "note"];

/** By path. */
export type Seen = Map<string, Partial<Record<Saw, Json>>>;

/** The first record holds; of notes the last one. */
export function recordSeen(
  db: Database,
  run: string,
  { path, what, value }: { path: string; what: Saw; value: Json },
): void {
  const or = what === "note" ? "REPLACE" : "IGNORE";
  db.query(`INSERT OR ${or} INTO saw (run, path, what, value) VALUES (?, ?, ?, ?)`).run(
    run,
    path,
    what,
    JSON.stringify(value),
  );
}

/** The records at `path`, and below it, hold no more. */
export function forgetSeen(db: Database, run: string, path: string): void {
  db.query(
    `DELETE FROM saw WHERE run = ?1 AND (path = ?2 OR substr(path, 1, length(?2) + 1) IN (?2 || '/', ?2 || '@'))`,
  ).run(run, path);
}

/** All that is on record of what was done below `base` is no longer needed. */
export function forgetSteps(db: Database, run: string, base: string): void {
  for (const table of ["step", "saw"])
    db.query(
      `DELETE FROM ${table} WHERE run = ?1 AND (path = ?2 OR substr(path, 1, length(?2) + 1) = ?2 || '/')`,
    ).run(run, base);
}

/** @throws PgdbaError journal_failed for what is damaged */
export function seenIn(db: Database, run: string): Seen {
  const rows = db
    .query<{ path: string; what: Saw; value: string }, [string]>(
      "SELECT path, what, value FROM saw WHERE run = ?",
    )
    .all(run);
  const seen: Seen = new Map();
  for (const { path, what, value } of rows) {
    try {
      seen.set(path, { ...seen.get(path), [what]: JSON.parse(value) as Json });
    } catch {
      throw damagedRecord(`what run ${run} saw at ${path}`, [what]);
    }
  }
  return seen;
}
