import { sqlstateOf } from "./errors.ts";
import type { PgSession } from "./session.ts";

/** PostgreSQL's `system_identifier`, or null where the role may not ask. */
export async function identityOf(session: PgSession): Promise<string | null> {
  try {
    const { rows } = await session.ask(
      "SELECT system_identifier::text AS identity FROM pg_control_system()",
    );
    return typeof rows[0]?.identity === "string" ? rows[0].identity : null;
  } catch (error) {
    if (sqlstateOf(error) === "42501") return null;
    throw error;
  }
}
