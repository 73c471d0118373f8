import { PgdbaError } from "../../../engine/errors.ts";
import type { ConnectionSpec } from "../../../providers/postgres/connect.ts";
import type { TestServer } from "../../support/postgres.ts";

export type { ConnectionSpec } from "../../../providers/postgres/connect.ts";
export { openSession, type PgSession } from "../../../providers/postgres/session.ts";

export function specOf(server: TestServer): ConnectionSpec {
  const { host, port, user, database, password } = server;
  return {
    host,
    port,
    user,
    database,
    password: () => password,
    sslmode: "disable",
    application_name: "pgdba-test",
  };
}

/** The code that a promise fails with; "nothing" when it does not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "nothing";
  } catch (error) {
    return error instanceof PgdbaError ? error.code : String(error);
  }
}
