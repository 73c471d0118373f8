import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { type Host, localHost, nodeHost } from "../../../providers/backup/host.ts";
import { archiveMembers } from "./members.ts";

/** The hosts of all servers, as far as pgdba reaches them; `silent` are those that don't answer. */
export async function hostsOf(ctx: StepContext): Promise<{ hosts: Host[]; silent: string[] }> {
  const { capabilities } = await ctx.target.facts();
  const hosts: Host[] = [];
  const silent: string[] = [];
  if (capabilities.includes("nodes")) {
    const nodes = await ctx.use("nodes");
    for (const { node, roles } of await nodes.list()) {
      if (!roles.includes("postgres")) continue;
      try {
        hosts.push(await nodeHost(nodes, node));
      } catch (error) {
        ctx.signal.throwIfAborted();
        if (!(error instanceof PgdbaError) || error.code !== "connection_failed") throw error;
        silent.push(node);
      }
    }
    return { hosts, silent };
  }
  const seen = await archiveMembers(ctx);
  for (const member of seen.members) hosts.push(await localHost(member, ctx.env, ctx.signal));
  return { hosts, silent: seen.silent };
}
