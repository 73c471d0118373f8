import { PgdbaError } from "../../engine/errors.ts";
import { isConflict } from "../../providers/postgres/errors.ts";
import type { PgSession } from "../../providers/postgres/session.ts";

/** Gives a session that stands: another one when the last has ended. */
export type Open = () => Promise<PgSession>;

/** How often a question is asked that is cut off each time. */
export const TRIES = 3;
/** An ended session is known as such after this. */
const PAUSE_MS = 100;

/** Asks again what replay on a standby has cut off, or its session with it. @throws whatever else `work` does, and what cuts it off at last */
export async function again<T>(work: () => Promise<T>): Promise<T> {
  let cut = false;
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      cut ||= isConflict(error);
      if (tries === TRIES || !cut || !(error instanceof PgdbaError && error.retryable)) throw error;
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  }
}
