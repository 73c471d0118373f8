/** Whether the nodes of a cluster could put a chain of increments together. */
import { join } from "node:path";
import type { StepContext } from "../../../engine/types.ts";
import type {} from "../../../providers/target/access.ts";

/**
 * A sentence where none of the servers whose hosts are reached has pg_combinebackup; null where one has it, and where nobody can tell. Whoever calls it
 * `uses` the nodes.
 */
export async function withoutCombine(ctx: StepContext): Promise<string | null> {
  if (!(await ctx.target.facts()).capabilities.includes("nodes")) return null;
  const nodes = await ctx.use("nodes");
  const servers = (await nodes.list()).filter(({ roles }) => roles.includes("postgres"));
  const folders: string[] = [];
  for (const { node } of servers) {
    try {
      const { postgres } = await nodes.facts(node);
      if (postgres === null) continue;
      const program = join(postgres.bin, "pg_combinebackup");
      if ((await nodes.exec(node, ["test", "-x", program])).exit_code === 0) return null;
      folders.push(`${node} (${postgres.bin})`);
    } catch {
      ctx.signal.throwIfAborted();
      // One that does not answer may have it.
      return null;
    }
  }
  if (folders.length === 0) return null;
  return `An incremental backup can't be restored by the servers of ${ctx.target.name}: pg_combinebackup, which puts a chain together, is on none of them (${folders.join(", ")}). Install PostgreSQL's client programs there, or take full backups`;
}
