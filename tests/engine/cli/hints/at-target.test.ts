import { expect, test } from "bun:test";
import type { Front } from "../../../../engine/cli/front.ts";
import { type At, errorAt } from "../../../../engine/cli/hints/at-target.ts";
import { makeRegistry } from "../../../../engine/cli/library.ts";
import { PgdbaError } from "../../../../engine/errors.ts";
import { CAPABILITIES } from "../../../../providers/target/capabilities.ts";
import index from "../../../../runbooks/_index.json";
import { loaders } from "../../../../steps/_registry.ts";
import { libraryWith } from "../../../runbooks/health/support.ts";

const library = libraryWith();
const registry = makeRegistry(loaders, CAPABILITIES);
const front = { builtinIndex: () => index } as unknown as Front;

async function told(hint: string, flags: string[]): Promise<string | undefined> {
  const at: At = { flags, library, registry: async () => registry };
  return (await errorAt(front, at, new PgdbaError("assertion_failed", "no", { hint }))).hint;
}

const SERVER = ["--host", "db9", "--port", "5433", "--user", "o'neill"];
const AT_SERVER = "--host db9 --port 5433 --user 'o'\\''neill'";

test.each([
  ["`pgdba session list` shows the pid.", `\`pgdba session list ${AT_SERVER}\` shows the pid.`],
  ["pgdba role list shows those there are.", `pgdba role list ${AT_SERVER} shows those there are.`],
  [
    "Run `pgdba slot drop a --confirmed a --yes`.",
    `Run \`pgdba slot drop a --confirmed a --yes ${AT_SERVER}\`.`,
  ],
  ["pgdba run locks/tree: look", `pgdba run locks/tree ${AT_SERVER}: look`],
  // In another database, or on another server with the same role.
  ["`pgdba index list --database shop`", `\`pgdba index list --database shop ${AT_SERVER}\``],
  [
    "`pgdba session list --host STANDBY`",
    "`pgdba session list --host STANDBY --user 'o'\\''neill'`",
  ],
  // Named already, nothing to name, or what makes a target.
  ["`pgdba session list --cluster a`", "`pgdba session list --cluster a`"],
  ["`pgdba cluster list` shows them", "`pgdba cluster list` shows them"],
  ["`pgdba runs` and `pgdba resume RUN`", "`pgdba runs` and `pgdba resume RUN`"],
  [
    "`pgdba cluster connect --name NAME --pg-host HOST`",
    "`pgdba cluster connect --name NAME --pg-host HOST`",
  ],
  ["pgdba restarts no server", "pgdba restarts no server"],
])("%s", async (hint, expected) => {
  expect(await told(hint, SERVER)).toBe(expected);
  // Not twice.
  expect(await told(expected, SERVER)).toBe(expected);
});

test.each([
  ["`pgdba failover trigger --yes`", "`pgdba failover trigger --yes --cluster orders`"],
  // It asks no server, and lists the backups of the cluster.
  ["`pgdba backup list` shows them", "`pgdba backup list --cluster orders` shows them"],
  [
    "`pgdba backup restore --to-new-cluster NAME`",
    "`pgdba backup restore --to-new-cluster NAME --cluster orders`",
  ],
  [
    "`pgdba replica replay-resume --host STANDBY`",
    "`pgdba replica replay-resume --host STANDBY --cluster orders`",
  ],
  // The host is a parameter there.
  ["`pgdba chaos kill-node` does", "`pgdba chaos kill-node --cluster orders` does"],
])("of a cluster: %s", async (hint, expected) => {
  expect(await told(hint, ["--cluster", "orders"])).toBe(expected);
});
