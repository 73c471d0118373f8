import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { Account, Opening, Spec } from "./contract.ts";

/** An entry of the registry has the first two among all, too. */
const OWN: ReadonlySet<string> = new Set(["superuser", "replication"]);

export const accountsOf = (spec: Spec): Account[] => [
  spec.superuser,
  spec.replication,
  ...Object.entries(spec.accounts ?? {}).flatMap(([name, account]) =>
    OWN.has(name) ? [] : [account],
  ),
];

/**
 * The passwords of accounts, in their order. All are asked for before anything is made, and all that are missing are told at once.
 * @throws PgdbaError missing_secret | invalid_param
 */
export async function passwordsFor(
  secret: Opening["secret"],
  accounts: readonly Account[],
): Promise<string[]> {
  const asked = await Promise.allSettled(accounts.map(({ password }) => secret(password)));
  const failed = asked.flatMap((one) =>
    one.status === "rejected" ? [toPgdbaError(one.reason)] : [],
  );
  const missing = failed.filter(({ code }) => code === "missing_secret");
  if (failed.length > missing.length || failed.length === 1)
    throw failed.find((one) => !missing.includes(one)) ?? failed[0]!;
  if (missing.length > 0) {
    const said = [...new Set(missing.map(({ message }) => message))].join("; ");
    const { hint } = missing[0]!;
    throw new PgdbaError("missing_secret", said, { hint, cause: missing[0], nothingDone: true });
  }
  return accounts.map(({ user, password }, at) => {
    const { value } = asked[at] as PromiseFulfilledResult<string>;
    if (value !== "" && !/[\n\r\0]/.test(value)) return value;
    throw new PgdbaError("invalid_param", `The password of ${user} is empty or has a line break`, {
      hint: `Give another one as ${password}.`,
      nothingDone: true,
    });
  });
}
