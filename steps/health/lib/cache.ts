import { type PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/types.ts";

/** What was found out, or why it could not be, and when. */
export type Entry<T> = { at: Date; durationMs: number; ageMs: number } & (
  | { value: T }
  | { error: PgdbaError }
);

/** An answer that could not be had is asked for again after this long, however long good ones last. */
const ERROR_TTL_MS = 5000;

/**
 * One answer for all who ask. `work` runs once at a time and only when somebody asks: at once when there is no answer younger than
 * `maxAgeMs`, and behind the answer given when that is older than `ttlMs`. What `work` throws is an answer too.
 */
export class Cache<T> {
  readonly #work: () => Promise<T>;
  readonly #times: { clock: Clock; ttlMs: number; maxAgeMs: number };
  #last: { done: number; entry: Entry<T> } | undefined;
  #running: Promise<Entry<T>> | undefined;

  constructor(work: () => Promise<T>, times: { clock: Clock; ttlMs: number; maxAgeMs: number }) {
    this.#work = work;
    this.#times = times;
  }

  async get(): Promise<Entry<T>> {
    const { clock, ttlMs, maxAgeMs } = this.#times;
    const last = this.#last;
    if (last === undefined) return this.#refresh();
    const ageMs = clock.monotonic() - last.done;
    const fresh = "error" in last.entry ? Math.min(ttlMs, ERROR_TTL_MS) : ttlMs;
    if (ageMs <= fresh) return { ...last.entry, ageMs };
    const next = this.#refresh();
    return ageMs <= maxAgeMs ? { ...last.entry, ageMs } : next;
  }

  #refresh(): Promise<Entry<T>> {
    this.#running ??= this.#ask().finally(() => {
      this.#running = undefined;
    });
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
