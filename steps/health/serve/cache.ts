import { type PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/types.ts";

/** The result of the work, or the error that ended it, with its time. */
export type Entry<T> = { at: Date; durationMs: number; ageMs: number } & (
  | { value: T }
  | { error: PgdbaError }
);

/** An answer that could not be had is asked for again after this long, however long good ones last. */
const ERROR_TTL_MS = 5000;

export interface Times {
  clock: Clock;
  /** An answer is fresh for so long. */
  ttlMs: number;
  /** A new answer is waited for as long as this, counted from the first request, before a stale one is given. */
  graceMs: number;
  /** An answer of this age or older is not given any more. */
  maxAgeMs: number;
}

/**
 * Keeps one answer for all who ask. `work` runs once at a time, and only when somebody asks and there is no fresh answer. Its error is an
 * answer too.
 */
export class Cache<T> {
  readonly #work: () => Promise<T>;
  readonly #times: Times;
  #last: { done: number; entry: Entry<T> } | undefined;
  #running: { begun: number; answer: Promise<Entry<T>> } | undefined;

  constructor(work: () => Promise<T>, times: Times) {
    this.#work = work;
    this.#times = times;
  }

  async get(): Promise<Entry<T>> {
    const { clock, ttlMs, graceMs, maxAgeMs } = this.#times;
    const fresh =
      this.#last !== undefined && "error" in this.#last.entry
        ? Math.min(ttlMs, ERROR_TTL_MS)
        : ttlMs;
    const held = this.#held(fresh);
    if (held !== null) return held;
    const { begun, answer } = this.#refresh();
    // Without the wait, a prober that comes seldom would always get the answer of its probe before.
    const rest = graceMs - (clock.monotonic() - begun);
    const next = rest > 0 && this.#held(maxAgeMs) !== null ? await within(answer, rest) : null;
    return next ?? this.#held(maxAgeMs) ?? answer;
  }

  /** The last answer, if it is no older than `mostMs`. */
  #held(mostMs: number): Entry<T> | null {
    if (this.#last === undefined) return null;
    const ageMs = this.#times.clock.monotonic() - this.#last.done;
    return ageMs <= mostMs ? { ...this.#last.entry, ageMs } : null;
  }

  #refresh(): { begun: number; answer: Promise<Entry<T>> } {
    this.#running ??= {
      begun: this.#times.clock.monotonic(),
      answer: this.#ask().finally(() => {
        this.#running = undefined;
      }),
    };
    return this.#running;
  }

  async #ask(): Promise<Entry<T>> {
    const { clock } = this.#times;
    const begun = clock.monotonic();
    const outcome = await this.#work().then(
      (value) => ({ value }),
      (error: unknown) => ({ error: toPgdbaError(error, "step_failed") }),
    );
    const done = clock.monotonic();
    const entry = { at: clock.now(), durationMs: done - begun, ageMs: 0, ...outcome };
    this.#last = { done, entry };
    return entry;
  }
}

/** The result of `work`, or null when it takes longer than `ms`. */
export async function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  let timer: Timer | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
