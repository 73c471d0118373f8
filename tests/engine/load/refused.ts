import { expect } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Diagnostic } from "../../../engine/types.ts";

/** The faults of a document as `line:column rule`; fails when `read` throws anything but a complete `invalid_runbook`. */
export function faultsOf(error: unknown): {
  places: string[];
  list: Diagnostic[];
  error: PgdbaError;
} {
  expect(error).toBeInstanceOf(PgdbaError);
  const found = error as PgdbaError;
  expect(found.code).toBe("invalid_runbook");
  const list = (found.data as unknown as { diagnostics: Diagnostic[] }).diagnostics;
  expect(found.where).toEqual(list[0]!.where);
  expect(found.hint).toBeString();
  for (const each of list) expect(each.hint, each.message).toBeString();
  return {
    places: list.map((d) => `${d.where.line}:${d.where.column} ${d.rule}`),
    list,
    error: found,
  };
}

export function thrownBy(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was refused");
}

export async function rejectionOf(read: Promise<unknown>): Promise<unknown> {
  return read.then(
    () => {
      throw new Error("nothing was refused");
    },
    (error: unknown) => error,
  );
}
