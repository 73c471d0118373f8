import { isPatroniSession } from "../../providers/patroni/signs.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import type { StepContext } from "../../engine/types.ts";
import { PgdbaError } from "../../engine/errors.ts";
import { session } from "../sql/session.ts";

/** Sessions that come back by themselves with a password that stands in a file: those of Patroni, and of standbys. */
const USERS = `SELECT coalesce(bool_or(${isPatroniSession("a")} AND a.usename = $1), false) AS patroni,
  coalesce(bool_or(${isPatroniSession("a")}), false) AS managed,
  array_agg(coalesce(nullif(a.application_name, ''), 'pid ' || a.pid) ORDER BY a.pid)
    FILTER (WHERE a.backend_type = 'walsender' AND a.usename = $1) AS standbys
  FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid()`;

export interface Use {
  use: string;
  hint: string;
}

/** The roles of the clusters that this server is known as, with what each is. */
export async function accountsOf(ctx: StepContext): Promise<Map<string, Use>> {
  const found = new Map<string, Use>();
  for (const cluster of await clustersOf(ctx)) {
    const data = (await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster)))?.data;
    const hint = `\`pgdba cluster show --cluster ${cluster}\` tells where its password is kept; it has to be changed there and on the nodes by hand, at the same time.`;
    const user = data?.postgres?.user;
    if (user !== undefined)
      found.set(user, { use: `the role by which pgdba reaches ${cluster}`, hint });
    for (const [use, account] of Object.entries(data?.accounts ?? {}))
      found.set(account.user, { use: `the account \`${use}\` of the cluster ${cluster}`, hint });
  }
  return found;
}

/**
 * What pgdba itself, Patroni, the standbys or the pooler use this role for: their passwords stand in files of the nodes and of the
 * state folder, and a role that can't log in any more takes the cluster down. Null for any other role.
 */
async function useOf(ctx: StepContext, role: string, standbysToo: boolean): Promise<Use | null> {
  const account = (await accountsOf(ctx)).get(role);
  if (account !== undefined) return account;
  const { spec } = await ctx.use("postgres");
  if (spec.user === role)
    return {
      use: "the role of this very connection",
      hint: "Connect as another superuser, with --user, and run it again.",
    };
  return connectedAs(ctx, role, standbysToo);
}

/** Also where it was reached by the place of one member, which belongs to the cluster. */
async function clustersOf(ctx: StepContext): Promise<string[]> {
  const { known } = await ctx.target.facts();
  const names = (known?.as ?? []).map(({ cluster }) => cluster);
  return [...new Set(ctx.target.cluster === null ? names : [ctx.target.cluster, ...names])];
}

/** Of a server that no entry knows: whoever is connected. A standby alone is no reason to refuse, for its password may be changed there afterwards. */
async function connectedAs(
  ctx: StepContext,
  role: string,
  standbysToo: boolean,
): Promise<Use | null> {
  const { rows } = await (await session(ctx)).ask(USERS, [role]);
  const [found] = rows as [{ patroni: boolean; managed: boolean; standbys: string[] | null }];
  const standbys = found.standbys?.join(", ");
  if (found.patroni || (found.managed && standbys !== undefined))
    return {
      use: found.patroni
        ? "the role by which Patroni manages this server"
        : `the role by which members of Patroni replicate (${standbys})`,
      hint: "Its password stands in Patroni's configuration on every node, under `postgresql.authentication`: it has to be changed there by hand, at the same time.",
    };
  if (standbys !== undefined && standbysToo)
    ctx.warn(
      `${standbys} replicates as ${role}, and must be able to log in again: what its primary_conninfo or passfile says has to be changed as well`,
    );
  return null;
}

/**
 * @param instead what to do, where the role could log in all the same
 * @throws PgdbaError step_refused for a role that somebody would be locked out with
 */
export async function refuseOwn(
  ctx: StepContext,
  role: string,
  what: string,
  instead?: string,
): Promise<void> {
  const found = await useOf(ctx, role, instead === undefined);
  if (found === null) return;
  const { use, hint: own } = found;
  const hint = instead ?? own;
  throw new PgdbaError("step_refused", `${role} is ${use}, and ${what} would lock it out`, {
    hint,
  });
}
