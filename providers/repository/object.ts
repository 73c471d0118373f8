/** What holds for objects of every kind of repository. */
import { PgdbaError } from "../../engine/errors.ts";
import type { Bytes } from "./contract.ts";

/** Letters, digits and a few signs: the same in every store, and no part of a name is hidden or leads elsewhere. */
const NAME = /^(?:[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*\/)*[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*$/;

/** @throws PgdbaError step_refused */
export function checkedName(name: string): string {
  if (NAME.test(name) && name.length <= 900) return name;
  throw new PgdbaError(
    "step_refused",
    `${JSON.stringify(name.slice(0, 200))} can't name an object`,
    {
      hint: "Names are paths of letters, digits and . _ + = , @ -, and no part begins with a dot.",
      nothingDone: true,
    },
  );
}

export function differs(name: string, where: string): PgdbaError {
  return new PgdbaError("object_differs", `${name} is in ${where} already, with another content`, {
    hint: "Nothing was overwritten. Two servers may write to the same part: look who made it, and let only one of them go on.",
    data: { name },
  });
}

/** Names are compared as bytes; they are ASCII. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether a stored object has these bytes; one that went away meanwhile has not. */
export async function isSame(stored: Bytes | null, bytes: Uint8Array): Promise<boolean> {
  if (stored === null) return false;
  let at = 0;
  for await (const part of stored) {
    const other = bytes.subarray(at, at + part.length);
    if (other.length !== part.length || Buffer.compare(other, part) !== 0) return false;
    at += part.length;
  }
  return at === bytes.length;
}
