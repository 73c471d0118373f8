/** The roles of a restored database: they are those of the original, with its passwords. A copy works with passwords of its own. */
import { quoteIdent } from "../../planner/twin/names.ts";
import type { PgSession } from "../../postgres/session.ts";

export interface RestoredAccount {
  user: string;
  /** SCRAM's, never the password itself. */
  verifier: string;
  /** What the role must be allowed beside logging in. */
  attributes: "" | "SUPERUSER" | "REPLICATION";
}

const VERIFIER = /^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$/;

/** Done again it is the same. */
export async function giveAccounts(
  session: PgSession,
  accounts: readonly RestoredAccount[],
): Promise<void> {
  for (const { user, verifier, attributes } of accounts) {
    if (!VERIFIER.test(verifier)) throw new Error(`what is given for ${user} is no verifier`);
    const changes = { changes: true };
    const { rows } = await session.ask("SELECT FROM pg_roles WHERE rolname = $1", [user]);
    const name = quoteIdent(user);
    if (rows.length === 0) await session.query(`CREATE ROLE ${name}`, [], changes);
    await session.query(
      `ALTER ROLE ${name} LOGIN ${attributes} CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD '${verifier}'`,
      [],
      changes,
    );
  }
}
