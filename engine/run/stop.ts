import { PgdbaError } from "../errors.ts";

/**
 * The two ways a run is told to stop. `soft` (first signal): reads and waits end at once, a change step runs to its end,
 * then the run unwinds. `hard` (second signal): everything ends now and nothing more is started.
 */
export class Stop {
  readonly #soft = new AbortController();
  readonly #hard = new AbortController();
  /** The name of the signal that asked first. */
  reason: string | null = null;

  get soft(): AbortSignal {
    return this.#soft.signal;
  }

  get hard(): AbortSignal {
    return this.#hard.signal;
  }

  request(signal: string): "soft" | "hard" {
    const error = new PgdbaError("interrupted", `Interrupted by ${signal}`, {
      hint: "`pgdba runs` shows what was done; `pgdba resume ID` goes on when it was cut short.",
    });
    if (this.reason === null) {
      this.reason = signal;
      this.#soft.abort(error);
      return "soft";
    }
    this.#soft.abort(error);
    this.#hard.abort(error);
    return "hard";
  }
}
