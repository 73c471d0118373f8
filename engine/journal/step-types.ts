import type { Database } from "bun:sqlite";
import { guarded } from "./database.ts";

/** The types of the steps of runs, by run. */
export function stepTypes(db: Database, runs: readonly string[]): Map<string, string[]> {
  const rows = guarded(() =>
    db
      .query<{ run: string; type: string }, [string]>(
        "SELECT DISTINCT run, type FROM step WHERE run IN (SELECT value FROM json_each(?))",
      )
      .all(JSON.stringify(runs)),
  );
  return new Map(
    [...Map.groupBy(rows, ({ run }) => run)].map(([run, all]) => [
      run,
      all.map(({ type }) => type),
    ]),
  );
}
