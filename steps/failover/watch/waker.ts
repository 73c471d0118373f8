/** Lets one wait be ended early by whoever has news. News that come while nobody waits end the next wait at once. */
export class Waker {
  #news = false;
  #wake: (() => void) | undefined;

  wake(): void {
    this.#news = true;
    this.#wake?.();
  }

  /** Waits for news, at most `ms`. @throws the signal's reason */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#news) {
      await new Promise<void>((done) => {
        const timer = setTimeout(done, ms);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
        signal.addEventListener("abort", this.#wake, { once: true });
      });
    }
    if (this.#wake !== undefined) signal.removeEventListener("abort", this.#wake);
    this.#wake = undefined;
    this.#news = false;
    signal.throwIfAborted();
  }
}
