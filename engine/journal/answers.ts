import type { Database } from "bun:sqlite";
import { hasTable } from "./database.ts";
import type { JsonObject } from "../types.ts";
import type { Holder } from "./holder.ts";
import { type Answer, type RawAnswer, readAnswer, type Said } from "./rows.ts";

/** What comes with the command that goes on with a run. `gates`: what was said to the gates. */
export interface Resumed {
  said: ReadonlyMap<string, Said>;
  at: string;
  approval?: string | null;
  gates?: JsonObject;
}

/** As the audit keeps it. */
export function resumedBy(by: Holder, { said, gates = {} }: Resumed): JsonObject {
  return { by, assumed: Object.fromEntries(said), said: gates } as unknown as JsonObject;
}

/** Puts what a person says of open steps on record, and where the run finds it. */
export function recordAnswers(
  db: Database,
  run: string,
  { said, at, holder }: { said: ReadonlyMap<string, Said>; at: string; holder: Holder },
): void {
  for (const [path, word] of said) {
    db.query("UPDATE step SET assumed = ? WHERE run = ? AND path = ?").run(word, run, path);
    db.query("INSERT INTO answer (run, path, said, at, holder) VALUES (?, ?, ?, ?, ?)").run(
      run,
      path,
      word,
      at,
      JSON.stringify(holder),
    );
  }
}

/** The answers of a run, in the order in which they were given. */
export function answersIn(db: Database, run: string): Answer[] {
  // A journal of an older version that can only be looked at has none.
  if (!hasTable(db, "answer")) return [];
  return db
    .query<RawAnswer, [string]>(
      "SELECT path, said, at, holder FROM answer WHERE run = ? ORDER BY seq",
    )
    .all(run)
    .flatMap(readAnswer);
}
