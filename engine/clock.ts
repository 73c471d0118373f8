import type { Clock } from "./types.ts";

/** The longest time that a timer takes, ms (24 days); given more, it fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Real time. `sleep` leaves no timer behind when aborted. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    for (let left = ms; ; left -= MAX_TIMER_MS) {
      await pause(Math.min(left, MAX_TIMER_MS), signal);
      if (left <= MAX_TIMER_MS) return;
    }
  },
};

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(done, ms);
    function done() {
      signal?.removeEventListener("abort", stop);
      resolve();
    }
    function stop() {
      clearTimeout(timer);
      reject(signal?.reason);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}
