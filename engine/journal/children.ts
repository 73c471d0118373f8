import { guarded, hasTable } from "./database.ts";
import { processStart } from "./holder.ts";
import type { Journal } from "./journal.ts";

/** A program that a step has started, while it runs. */
export interface Child {
  run: string;
  path: string;
  pid: number;
  program: string;
}

/** Records a program, so that it is found after pgdba was killed. */
export function childStarted(journal: Journal, { run, path, pid, program }: Child): void {
  const started = processStart(pid);
  // It has ended already, or this system can't tell its processes apart.
  if (started === undefined) return;
  journal.note(() =>
    journal.db
      .query(
        "INSERT OR REPLACE INTO child (run, path, pid, started, program) VALUES (?, ?, ?, ?, ?)",
      )
      .run(run, path, pid, started, program),
  );
}

export function childEnded(journal: Journal, run: string, pid: number): void {
  journal.note(() => journal.db.query("DELETE FROM child WHERE run = ? AND pid = ?").run(run, pid));
}

/** Programs of runs whose process is dead that are still there. */
export function livingChildren(journal: Journal, runs: readonly string[]): Child[] {
  return guarded(() => {
    if (!hasTable(journal.db, "child")) return [];
    return journal.db
      .query<Child & { started: string }, [string]>(
        "SELECT run, path, pid, started, program FROM child WHERE run IN (SELECT value FROM json_each(?))",
      )
      .all(JSON.stringify(runs));
  })
    .filter(({ pid, started }) => processStart(pid) === started)
    .map(({ run, path, pid, program }) => ({ run, path, pid, program }));
}
