import { movedBack } from "../parameters/rewrite.ts";
import { MARK } from "./own.ts";
import type { Run } from "./session.ts";

/** Always the same: before 16 each name would be another entry in pg_stat_statements, where it drives out somebody else's. */
const NAME = "pgdba_statement";

/**
 * Prepares a statement for as long as `work` takes. A rollback does not take back what was prepared, and the session may be somebody
 * else's afterwards (a pooler): it goes within the transaction, however that comes out. Positions in errors are those of `text`.
 */
export async function withPrepared<T>(
  run: Run,
  text: string,
  work: (name: string) => Promise<T>,
): Promise<T> {
  const before = `PREPARE ${MARK} ${NAME} AS\n`;
  await run(`SAVEPOINT ${MARK} ${NAME}`);
  let prepared = false;
  try {
    await movedBack(before.length, () => run(`${before}${text}`));
    prepared = true;
    const result = await work(NAME);
    await run(`DEALLOCATE ${MARK} ${NAME}`);
    return result;
  } catch (error) {
    // The run may have been aborted: its signal shall not keep us from it. A connection that is gone has taken it along.
    const still = { signal: undefined };
    await run(`ROLLBACK ${MARK} TO SAVEPOINT ${NAME}`, [], still).catch(() => {});
    if (prepared) await run(`DEALLOCATE ${MARK} ${NAME}`, [], still).catch(() => {});
    throw error;
  }
}
