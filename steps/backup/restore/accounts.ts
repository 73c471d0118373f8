/** The passwords of this cluster for the roles of a restored database, as SCRAM's verifiers. */
import { createHash } from "node:crypto";
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { RestoredAccount } from "../../../providers/backup/recover/accounts.ts";
import { scramVerifier } from "../../../providers/postgres/scram.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import { readClusterFile } from "../../../providers/registry/read.ts";
import { readPassword } from "../../../providers/registry/secrets.ts";

/** What an account must be allowed beside logging in. */
const ATTRIBUTES: Record<string, RestoredAccount["attributes"]> = {
  superuser: "SUPERUSER",
  replication: "REPLICATION",
};
/** They are accounts of PostgreSQL; others, such as those of etcd, are not roles. */
const ROLES: readonly string[] = ["superuser", "replication", "rewind", "pgbouncer", "owner"];

/** By what they are for, as the registry has them. */
export type Accounts = Readonly<Record<string, { user: string; password: string } | null>>;

/** @throws PgdbaError missing_secret */
export async function accountsOf(ctx: StepContext, accounts: Accounts): Promise<RestoredAccount[]> {
  const cluster = ctx.target.cluster!;
  const entry = (await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster)))!;
  const io = { env: ctx.env, onSecret: (value: string) => ctx.secret(value) };
  return Object.entries(accounts).flatMap(([purpose, account]) => {
    if (account === null || !ROLES.includes(purpose)) return [];
    const place = entry.secrets.find(({ name }) => name === account.password)?.place;
    const password = place && readPassword(place, entry.file, io);
    if (password === undefined)
      throw new PgdbaError("missing_secret", `${cluster} has no secret ${account.password}`, {
        hint: `Say in ${entry.file}, under \`secrets\`, where its value is found.`,
      });
    // The same each time it is asked for: a job is known again by what it was told.
    const salt = createHash("sha256").update(`${ctx.run.id} ${account.user}`).digest();
    const verifier = scramVerifier(password, salt.subarray(0, 16));
    return [{ user: account.user, verifier, attributes: ATTRIBUTES[purpose] ?? "" }];
  });
}
