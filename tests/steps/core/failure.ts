import { PgdbaError } from "../../../engine/errors.ts";

/** The PgdbaError that `promise` rejects with; fails the test when it does not. */
export async function failure(promise: Promise<unknown>): Promise<PgdbaError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in outcome && outcome.error instanceof PgdbaError) return outcome.error;
  throw new Error(`expected a PgdbaError, got ${Bun.inspect(outcome)}`);
}
