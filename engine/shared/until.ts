/**
 * What `work` gives, or the signal's reason as soon as it is aborted. Not by `Promise.race` with one promise for all: that promise would keep
 * what came out of each race, which is all of a stream.
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((done, fail) => {
    const stop = () => fail(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    const over = () => signal.removeEventListener("abort", stop);
    work.then(
      (value) => {
        over();
        done(value);
      },
      (error: unknown) => {
        over();
        fail(error);
      },
    );
  });
}

/** The same parts, up to the abort of `signal`, also while the source has nothing to give. */
export async function* partsUntil(
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (signal === undefined) return yield* content;
  const parts = content[Symbol.asyncIterator]();
  let over = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const part = await untilAborted(parts.next(), signal);
      over = part.done === true;
      if (part.done) return;
      yield part.value;
    }
  } finally {
    // A source that hangs in the middle of a part does not hear it, and nobody waits for it.
    if (!over) void Promise.resolve(parts.return?.()).catch(() => {});
  }
}
