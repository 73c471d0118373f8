import { PgdbaError } from "../../engine/errors.ts";
import { type ConnectionSpec, connect, destroy } from "../../providers/postgres/connect.ts";
import { sqlstateOf } from "../../providers/postgres/errors.ts";

/**
 * What the server says only to somebody whose password it has taken: no connection is free, the database is not there, or is not for
 * this role. Source: postinit.c, InitPostgres, where the authentication comes before these.
 */
const AFTER_THE_PASSWORD = new Set(["53300", "3D000", "42501"]);

/**
 * Logs in with this password, and leaves again. `asked` is false where the server wanted none.
 * @throws PgdbaError step_failed when the server does not let it in
 */
export async function logIn(
  spec: Omit<ConnectionSpec, "password">,
  password: string,
): Promise<{ asked: boolean }> {
  let asked = false;
  try {
    destroy(
      await connect({
        ...spec,
        password: () => {
          asked = true;
          return password;
        },
      }),
    );
  } catch (cause) {
    const state = sqlstateOf(cause);
    if (asked && state !== undefined && AFTER_THE_PASSWORD.has(state)) return { asked };
    throw new PgdbaError(
      "step_failed",
      `${spec.user} can't log in with the new password: ${(cause as Error).message}`,
      {
        hint:
          state === "28000"
            ? "A line of pg_hba.conf must let it in from here by scram-sha-256, md5 or password; `pgdba health check --only hba-errors` tells what is wrong with that file."
            : "The old password is in force again where it was known. Look at the server's log.",
        cause,
      },
    );
  }
  return { asked };
}
