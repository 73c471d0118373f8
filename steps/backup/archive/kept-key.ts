import { PgdbaError } from "../../../engine/errors.ts";
import { readText } from "../../../engine/shared/read-file.ts";
import type { StepContext } from "../../../engine/types.ts";
import { writeSecret } from "../../../providers/registry/secrets.ts";

/** The name of the secret that is the key to a cluster's object store. */
export const REPOSITORY_KEY = "repository";

/** The key to an object store, from the variable that holds it; undefined where none is named. @throws PgdbaError missing_secret */
export function givenKey(ctx: StepContext, variable: string | null | undefined) {
  if (variable == null) return undefined;
  const value = ctx.env[variable] ?? "";
  if (!/^[^:\s]+:\S+$/.test(value))
    throw new PgdbaError("missing_secret", `${variable} holds no key to an object store`, {
      hint: "Set it to the id of the key, a colon, and the key.",
      data: { missing: [variable] },
    });
  mask(ctx, value);
  return value;
}

/** The key to an object store, from the file that keeps it. @throws PgdbaError missing_secret */
export function keyOfStore(ctx: StepContext, { key_file }: { key_file: string }): string {
  const value = readText(key_file, { maxBytes: 4096, code: "missing_secret" }).trim();
  mask(ctx, value);
  return value;
}

/** Its id is none; the rest stands alone in what a store is asked. */
function mask(ctx: StepContext, key: string): void {
  ctx.secret(key);
  ctx.secret(key.slice(key.indexOf(":") + 1));
}

/** Where the key is kept, which is given by a variable; undefined when none is given. @throws PgdbaError missing_secret */
export async function keptKey(
  ctx: StepContext,
  cluster: string,
  variable: string | null | undefined,
) {
  const value = givenKey(ctx, variable);
  return value === undefined
    ? undefined
    : writeSecret(ctx.run.stateDir, cluster, REPOSITORY_KEY, value);
}
