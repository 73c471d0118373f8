import { PgdbaError } from "../errors.ts";

/**
 * The two ways a run is told to stop. `soft` (first signal): reads and waits end at once, a change step runs to its end,
 * then the run unwinds. `hard` (second signal): everything ends now and nothing more is started.
 */
export class Stop {
  readonly #soft = new AbortController();
  readonly #hard = new AbortController();
  readonly #broken = new AbortController();
  /** The first thing that asked: the name of a signal, or `a defect`. */
  reason: string | null = null;
  /** The run under way, for whoever must tell of it when this process can't go on. */
  run: string | null = null;

  get soft(): AbortSignal {
    return this.#soft.signal;
  }

  get hard(): AbortSignal {
    return this.#hard.signal;
  }

  /** Aborted after a defect: a change step may then never end. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  request(signal: string): "soft" | "hard" {
    const error = interrupted(signal, this.run);
    const first = this.reason === null;
    this.reason ??= signal;
    this.#soft.abort(error);
    if (!first) this.#hard.abort(error);
    return first ? "soft" : "hard";
  }

  /** Unwinds for `error`, which no step can be blamed for. */
  fail(error: PgdbaError): void {
    this.reason ??= "a defect";
    this.#soft.abort(error);
    const hint = `Nobody knows whether the step under way acted. Look at the target, then \`pgdba resume ${this.run}\`.`;
    this.#broken.abort(new PgdbaError("needs_operator", error.message, { cause: error, hint }));
  }
}

/** The error of an interrupted run. Its end, and with it whether it can be resumed, is reported when it is known. */
export function interrupted(signal: string, run: string | null): PgdbaError {
  return new PgdbaError("interrupted", `Interrupted by ${signal}`, {
    hint:
      run === null
        ? "No run had begun: give the command again."
        : `\`pgdba runs ${run}\` shows what was done.`,
  });
}
