import { expect } from "bun:test";
import { PgdbaError } from "../../../../engine/errors.ts";

export { World } from "./world.ts";

export async function failure(work: Promise<unknown>): Promise<PgdbaError> {
  const error = await work.then(
    (value) => new Error(`it gave ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PgdbaError);
  return error as PgdbaError;
}

/** Collects what a sink is given. */
export function collector(): { sink: (bytes: Uint8Array) => void; text: () => string } {
  const parts: Uint8Array[] = [];
  return {
    sink: (bytes) => void parts.push(bytes.slice()),
    text: () => Buffer.concat(parts).toString("utf8"),
  };
}
