import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type {} from "../../../providers/target/access.ts";
import { cronKeeper } from "./crontab.ts";
import type { Keeper, Kept } from "./keeper.ts";
import { nodeKeeper } from "./on-node.ts";

/** Whoever keeps schedules of the target, or may: a node that is there for it first. */
export async function keepersOf(ctx: StepContext): Promise<[Keeper, ...Keeper[]]> {
  const cron = cronKeeper(ctx);
  const { capabilities } = await ctx.target.facts();
  if (!capabilities.includes("nodes")) return [cron];
  const nodes = await ctx.use("nodes");
  const own = (await nodes.list())
    .filter(({ roles, made }) => made && roles.includes("backup"))
    .map((one) => nodeKeeper(ctx, nodes, one));
  const [first, ...more] = own;
  return first === undefined ? [cron] : [first, ...more, cron];
}

/** All that is scheduled, with who keeps it. A machine without cron keeps nothing. */
export async function allKept(ctx: StepContext): Promise<{ keeper: Keeper; kept: Kept }[]> {
  const keepers = await keepersOf(ctx);
  const found: { keeper: Keeper; kept: Kept }[] = [];
  for (const keeper of keepers) {
    try {
      for (const kept of await keeper.list()) found.push({ keeper, kept });
    } catch (error) {
      const isLacking = error instanceof PgdbaError && error.code === "unsupported";
      if (!isLacking || keepers.length === 1) throw error;
    }
  }
  return found;
}
