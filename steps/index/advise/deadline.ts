import type { Clock } from "../../../engine/types.ts";

/** A time that work may take; what is not done by then is left out, and said to be. */
export class Deadline {
  readonly #clock: Clock;
  readonly #begun: number;
  readonly #ms: number;

  constructor(clock: Clock, ms: number, begun = clock.monotonic()) {
    this.#clock = clock;
    this.#begun = begun;
    this.#ms = ms;
  }

  get passed(): boolean {
    return this.spent >= this.#ms;
  }

  /** Milliseconds. */
  get spent(): number {
    return this.#clock.monotonic() - this.#begun;
  }

  /** When so much of the time is over. */
  part(share: number): Deadline {
    return new Deadline(this.#clock, this.#ms * share, this.#begun);
  }

  /** When so much of what is left of it now is over. */
  next(share: number): Deadline {
    const { spent } = this;
    return new Deadline(this.#clock, spent + Math.max(0, this.#ms - spent) * share, this.#begun);
  }
}
