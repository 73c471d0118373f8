import type { Database } from "bun:sqlite";
import type { Json } from "../types.ts";
import { damagedRecord, type RawStep } from "./rows.ts";

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

/** Rows of ended rounds that stay to be read; a guard that runs for years keeps no more. */
const PAST_ROWS = 500;

/**
 * A round has ended: nothing goes by what it did below `base` any more. What changed something stays on record under `past`, the last
 * rounds of it, for whoever wants to know what was done.
 */
export function endRound(
  db: Database,
  run: string,
  { base, past }: { base: string; past: string | null },
): void {
  const below = `run = ?1 AND (path = ?2 OR substr(path, 1, length(?2) + 1) = ?2 || '/')`;
  if (past !== null) {
    db.query(
      `UPDATE step SET phase = 'past', path = ?3 || substr(path, length(?2) + 1) WHERE ${below} AND result IS NOT NULL`,
    ).run(run, base, past);
    db.query(
      `DELETE FROM step WHERE run = ?1 AND phase = 'past'
         AND seq NOT IN (SELECT seq FROM step WHERE run = ?1 AND phase = 'past' ORDER BY seq DESC LIMIT ?2)`,
    ).run(run, PAST_ROWS);
  }
  for (const table of ["step", "saw"])
    db.query(`DELETE FROM ${table} WHERE ${below}`).run(run, base);
}

export function stepsIn(db: Database, run: string, past: boolean): RawStep[] {
  const which = past ? "" : "AND phase <> 'past'";
  return db
    .query<RawStep, [string]>(`SELECT * FROM step WHERE run = ? ${which} ORDER BY seq`)
    .all(run);
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
