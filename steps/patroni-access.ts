import type { StepContext } from "../engine/types.ts";
import type { PatroniClient } from "../providers/patroni/client.ts";
import type {} from "../providers/target/access.ts";

/** The Patroni that runs the target; null where the registry names none. The step type declares that it `uses` it. */
export async function patroniOf(ctx: StepContext): Promise<PatroniClient | null> {
  const { capabilities } = await ctx.target.facts();
  return capabilities.includes("patroni") ? ctx.use("patroni") : null;
}
