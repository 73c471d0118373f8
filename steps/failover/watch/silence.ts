/** The leader's times, in seconds, as Patroni's configuration has them. */
export interface Times {
  ttl: number;
  loopWait: number;
}

/** A renewal that is late by so much is no hiccup of a busy machine, s. */
const LATE_SECONDS = 2;

/**
 * Why a leader counts as silent; null while it does not. A leader renews its key once in each loop, so that less than `ttl - loop_wait` is left of
 * it only when a renewal is late (Patroni: ha.py, `update_lock`). An API that answers is a sign of life, however late the key is:
 * then the leader knows itself that it must step down.
 */
export function silence(
  { ttlSeconds, unanswered }: { ttlSeconds: number | null; unanswered: number },
  { ttl, loopWait }: Times,
): string | null {
  if (unanswered < 2 || ttlSeconds === null) return null;
  const least = ttl - loopWait - LATE_SECONDS;
  if (ttlSeconds >= least) return null;
  return `its Patroni does not answer, and its key, of ${ttl} s, was not renewed for ${Math.round(ttl - ttlSeconds)} s`;
}
