import { PgdbaError } from "../../engine/errors.ts";
import type { Run } from "./session.ts";

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
  const name = `pgdba_${crypto.randomUUID().replaceAll("-", "")}`;
  const before = `PREPARE /* pgdba */ ${name}${types.length === 0 ? "" : `(${types.join(", ")})`} AS\n`;
  await run(`SAVEPOINT ${name}`);
  let prepared = false;
  try {
    await movedBack(before.length, () => run(`${before}${text}`));
    prepared = true;
    const result = await work(name);
    await run(`DEALLOCATE ${name}`);
    return result;
  } catch (error) {
    // The run may have been aborted: its signal shall not keep us from it. A connection that is gone has taken it along.
    const still = { signal: undefined };
    await run(`ROLLBACK TO SAVEPOINT ${name}`, [], still).catch(() => {});
    if (prepared) await run(`DEALLOCATE ${name}`, [], still).catch(() => {});
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
