import type { StepContext } from "../../../engine/types.ts";
import { another } from "../../sql/session.ts";

/** Where pg_repack's session can't be told from others, as behind a pooler, it is let in without being known. */
const AT_MOST_MS = 5000;

/**
 * Keeps pg_repack from the table until its session is on disk: a lock that readers and writers share holds up its first one. Without that,
 * an engine killed in the first moment would leave a server that copies and that no resume knows to end. A killed engine lets go of it.
 * @param name the table, quoted
 * @param from a promise that ends when pg_repack need not wait any more
 * @param begin called with the lock held
 * @throws PgdbaError timeout when the table is locked by others
 */
export async function heldBack<T>(
  ctx: StepContext,
  name: string,
  lockTimeoutMs: number,
  from: Promise<void>,
  begin: () => Promise<T>,
): Promise<T> {
  const pg = await another(ctx);
  try {
    const locked = Promise.withResolvers<void>();
    const over = new AbortController();
    const holding = pg.transaction(
      { readOnly: true, lockTimeoutMs, signal: ctx.signal },
      async (run) => {
        await run(`LOCK TABLE ONLY ${name} IN ACCESS SHARE MODE`);
        locked.resolve();
        const enough = ctx.clock
          .sleep(Math.min(lockTimeoutMs, AT_MOST_MS), over.signal)
          .catch(() => undefined);
        await Promise.race([from, enough]);
        over.abort();
      },
    );
    await Promise.race([locked.promise, holding]);
    // From here on it is pg_repack that counts: losing this session only lets it in earlier.
    const closed = holding.catch((error: Error) =>
      ctx.log(`held back no longer: ${error.message}`),
    );
    const result = await begin();
    await closed;
    return result;
  } finally {
    await pg.close();
  }
}
