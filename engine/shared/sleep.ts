/** Resolves after `ms`; rejects with the signal's own reason when that is aborted first. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    if (signal?.aborted) return fail(signal.reason);
    const timer = setTimeout(finish, ms);
    function finish(): void {
      signal?.removeEventListener("abort", stop);
      done();
    }
    function stop(): void {
      clearTimeout(timer);
      fail(signal?.reason);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}
