import { type PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/types.ts";
import { within } from "../serve/cache.ts";
import type { Sample } from "./exposition.ts";

export interface Times {
  /** Values are asked for again after this long, ms. */
  refreshMs: number;
  /** Values of this age are not given any more, ms. */
  maxAgeMs: number;
  /** A refresh that takes longer counts as failed, ms. */
  deadlineMs: number;
}

/** `ageMs`: how old they were already when they were had; 0 without it. `lacking`: why they are not all that there are. */
export interface Values {
  samples: Sample[];
  ageMs?: number;
  lacking?: PgdbaError | null;
}

/** What a source gives at a moment. */
export interface Reading {
  source: string;
  /** Null until the first refresh has ended. */
  up: boolean | null;
  why: PgdbaError | null;
  /** Of the values; null while there are none that count. */
  ageMs: number | null;
  durationMs: number | null;
  samples: Sample[];
}

/** Nobody has read it for so long: it is left alone until somebody does. */
const UNREAD_MS = 90_000;
/** Behind readers, it is refreshed no more often than this. */
const LEAST_MS = 5_000;

/**
 * Values that are asked for again when they are older than `refreshMs`, for as long as somebody reads them. A refresh goes on behind the readers, one at a
 * time; what was known before is given until it is too old.
 */
export class Source {
  readonly name: string;
  readonly #read: () => Promise<Values>;
  readonly #times: Times;
  readonly #clock: Clock;
  #good: { at: number; samples: Sample[] } | undefined;
  #ended: { at: number; durationMs: number; why: PgdbaError | null } | undefined;
  #running: { begun: number; done: Promise<void> } | undefined;
  #readAt = 0;
  #timer: Timer | undefined;

  constructor(name: string, clock: Clock, times: Times, read: () => Promise<Values>) {
    this.name = name;
    this.#read = read;
    this.#times = times;
    this.#clock = clock;
  }

  /** Waits for a refresh that is due, no longer than `waitMs`. */
  async reading(waitMs: number): Promise<Reading> {
    const { refreshMs } = this.#times;
    this.#readAt = this.#clock.monotonic();
    this.#goOn();
    const last = this.#ended?.at;
    if (last === undefined || this.#clock.monotonic() - last >= refreshMs)
      await within(this.#refresh(), waitMs);
    return this.#now();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#readAt = Number.NEGATIVE_INFINITY;
  }

  /** Between two reads it is refreshed as well, so that the next finds values that are not too old. */
  #goOn(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (this.#clock.monotonic() - this.#readAt > UNREAD_MS) return;
        this.#goOn();
        void this.#refresh();
      },
      Math.max(this.#times.refreshMs, LEAST_MS),
    );
    this.#timer.unref();
  }

  #now(): Reading {
    const { deadlineMs, maxAgeMs } = this.#times;
    const now = this.#clock.monotonic();
    const ageMs = this.#good === undefined ? null : now - this.#good.at;
    const isGood = ageMs !== null && ageMs <= maxAgeMs;
    const late = this.#running !== undefined && now - this.#running.begun > deadlineMs;
    return {
      source: this.name,
      up: late ? false : this.#ended === undefined ? null : this.#ended.why === null,
      why: this.#ended?.why ?? null,
      ageMs: isGood ? ageMs : null,
      durationMs: this.#ended?.durationMs ?? null,
      samples: isGood ? this.#good!.samples : [],
    };
  }

  #refresh(): Promise<void> {
    this.#running ??= {
      begun: this.#clock.monotonic(),
      done: this.#ask().finally(() => {
        this.#running = undefined;
      }),
    };
    return this.#running.done;
  }

  async #ask(): Promise<void> {
    const begun = this.#clock.monotonic();
    let why: PgdbaError | null = null;
    try {
      const { samples, ageMs, lacking = null } = await this.#read();
      why = lacking;
      // The age of values that are new counts from when they were asked for.
      this.#good = {
        at: ageMs === undefined ? begun : this.#clock.monotonic() - ageMs,
        samples,
      };
    } catch (error) {
      why = toPgdbaError(error, "step_failed");
    }
    const at = this.#clock.monotonic();
    this.#ended = { at, durationMs: at - begun, why };
  }
}
