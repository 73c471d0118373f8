import { sleep } from "../engine/shared/sleep.ts";

/** An endpoint that has not answered after this long has the next one asked beside it, ms. */
const NEXT_AFTER_MS = 1_000;

/**
 * The answer of the endpoint that gives one first, for what may be asked of several. A host that is frozen holds a connection open without
 * an answer: the others are asked meanwhile.
 * @throws the reason of the first endpoint, which a person looks at first, or the signal's
 */
export async function firstAnswer<T>(
  endpoints: readonly string[],
  ask: (endpoint: string, signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const done = new AbortController();
  const ends = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
  const asked: Promise<T>[] = [];
  const nothing = Symbol();
  try {
    for (const endpoint of endpoints) {
      const answer = ask(endpoint, ends);
      asked.push(answer);
      const waited = sleep(NEXT_AFTER_MS, ends).then(() => nothing);
      const failed = answer.catch(() => nothing);
      const any = Promise.any(asked).catch(() => nothing);
      const first = await Promise.race([any, failed, waited]);
      if (first !== nothing) return first as T;
      signal?.throwIfAborted();
    }
    return await Promise.any(asked);
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    done.abort();
  }
}
