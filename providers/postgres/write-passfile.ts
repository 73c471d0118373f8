import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { writeDraft } from "../../engine/shared/write-file.ts";
import type { ConnectionSpec } from "./connect.ts";

/** Whichever server of the cluster it is: the file is for one program, and lies there while that runs. False without a password. */
export async function writePassfile(
  file: string,
  { user, password }: Pick<ConnectionSpec, "user" | "password">,
): Promise<boolean> {
  const secret = password?.();
  if (secret === undefined || secret === "") return false;
  if (/[\r\n\0]/.test(secret)) {
    throw new PgdbaError(
      "unsupported",
      `The password of ${user} has a line break, and libpq's password file can't hold one`,
      {
        hint: "Give the role another password: pg_dump and pg_restore read it from such a file.",
        nothingDone: true,
      },
    );
  }
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeDraft(file, `*:*:*:${escaped(user)}:${escaped(secret)}\n`, { mode: 0o600 });
  return true;
}

const escaped = (field: string) => field.replace(/[\\:]/g, "\\$&");
