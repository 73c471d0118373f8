import type { Clock } from "../../../engine/types.ts";

/** Rounds of work, one after the other: each begins when something has changed, and who waits for something looks anew after each. */
export class Rounds {
  readonly #told: { clock: Clock; signal: AbortSignal };
  #changes = 0;
  #wake: (() => void) | undefined;
  #round = Promise.withResolvers<void>();

  constructor(told: { clock: Clock; signal: AbortSignal }) {
    this.#told = told;
  }

  /** Something has changed. */
  wake(): void {
    this.#changes += 1;
    this.#wake?.();
  }

  /** Does one round, and waits until something changes that has not changed before it began; `ms` at most. */
  async once(work: () => Promise<void>, ms: number): Promise<void> {
    const before = this.#changes;
    await work();
    this.end();
    if (this.#changes === before) await this.#change(ms);
  }

  /** A promise that lives for many rounds would keep something of each that waits for it. */
  #change(ms: number): Promise<void> {
    return new Promise((done) => {
      const over = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        done();
      };
      const timer = setTimeout(over, ms);
      this.#wake = over;
    });
  }

  end(): void {
    this.#round.resolve();
    this.#round = Promise.withResolvers();
  }

  /** Resolves when it holds after a round, when the time is over, or with the signal. */
  async until(holds: () => boolean, ms: number): Promise<void> {
    const { clock, signal } = this.#told;
    const ends = clock.monotonic() + ms;
    while (!holds() && !signal.aborted && clock.monotonic() < ends)
      await atMost(this.#round.promise, Math.max(1, ends - clock.monotonic()));
  }
}

async function atMost(wanted: Promise<void>, ms: number): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, ms);
  });
  await Promise.race([wanted, late]);
  clearTimeout(timer);
}
