import { PgdbaError } from "../../engine/errors.ts";
import { MARK } from "./own.ts";
import type { Run } from "./session.ts";

/** Always the same: before 16 each name would be another entry in pg_stat_statements, where it drives out somebody else's. */
const NAME = "pgdba_statement";

/**
 * Prepares a statement for as long as `work` takes. A rollback does not take back what was prepared, and the session may be somebody
 * else's afterwards (a pooler): it goes within the transaction, however that comes out. Positions in errors are those of `text`.
 * @param types of `$1`, `$2`, …; those that the server finds by itself without them
 */
export async function withPrepared<T>(
  run: Run,
  text: string,
  work: (name: string) => Promise<T>,
  types: readonly string[] = [],
): Promise<T> {
  const before = `PREPARE ${MARK} ${NAME}${types.length === 0 ? "" : `(${types.join(", ")})`} AS\n`;
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

/** Makes an error's position that of the text which was given, without the `offset` characters put before it. */
export async function movedBack<T>(offset: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const data = error instanceof PgdbaError ? error.data : undefined;
    if (
      !(error instanceof PgdbaError) ||
      typeof data !== "object" ||
      data === null ||
      Array.isArray(data) ||
      data["position"] === undefined
    )
      throw error;
    const { message, hint, retryable, cause } = error;
    const position = String(Math.max(1, Number(data["position"]) - offset));
    throw new PgdbaError(error.code, message, {
      hint,
      retryable,
      cause,
      data: { ...data, position },
    });
  }
}
