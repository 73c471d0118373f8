import { isAbsolute } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";

/** @throws PgdbaError invalid_param for a path on a node that is not a whole one */
export function assertAbsolute(path: string): void {
  if (isAbsolute(path)) return;
  throw new PgdbaError("invalid_param", `${path} is not an absolute path`, {
    hint: "Give the whole path on the node.",
    nothingDone: true,
  });
}
