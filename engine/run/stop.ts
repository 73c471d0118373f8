import { PgdbaError } from "../errors.ts";

/**
 * The two ways a run is told to stop. `soft` (first signal): reads and waits end at once, a change step runs to its end,
 * then the run unwinds. `hard` (second signal): everything ends now and nothing more is started.
 */
export class Stop {
  readonly #soft = new AbortController();
  readonly #hard = new AbortController();
  /** What asked first: the name of a signal, or `a defect`. */
  reason: string | null = null;
  /** The run under way, for whoever must tell of it when this process can't go on. */
  run: string | null = null;

  get soft(): AbortSignal {
    return this.#soft.signal;
  }

  get hard(): AbortSignal {
    return this.#hard.signal;
  }

  request(signal: string): "soft" | "hard" {
    const first = this.reason === null;
    this.#abort(signal, interrupted(signal), !first);
    return first ? "soft" : "hard";
  }

  /** Unwinds for `error`, which no step can be blamed for; with `now`, nothing more is waited for. */
  fail(error: PgdbaError, now = false): void {
    this.#abort("a defect", error, now);
  }

  #abort(reason: string, error: PgdbaError, hard: boolean): void {
    this.reason ??= reason;
    this.#soft.abort(error);
    if (hard) this.#hard.abort(error);
  }
}

export function interrupted(signal: string): PgdbaError {
  return new PgdbaError("interrupted", `Interrupted by ${signal}`, {
    hint: "`pgdba runs` shows what was done; `pgdba resume ID` goes on when it was cut short.",
  });
}
