/** The nodes that watch a cluster: among its own, or beside it. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { NODE, withBeside } from "./beside.ts";
import { entryOf } from "./entry.ts";

export interface Watcher {
  node: string;
  /** It is none of the cluster's own nodes. */
  beside: boolean;
  running: boolean;
}

/** @throws PgdbaError capability_missing: the target is not registered */
export async function watchersOf(ctx: StepContext): Promise<Watcher[]> {
  const { capabilities } = await ctx.target.facts();
  if (capabilities.includes("nodes")) {
    const nodes = await ctx.use("nodes");
    const listed = await nodes.list();
    const own = listed
      .filter(({ roles }) => roles.includes("monitoring"))
      .map(({ node, state }) => ({ node, running: state.running === "running" }));
    const gone = ((await entryOf(ctx)).data.nodes ?? [])
      .filter(
        ({ name, roles }) =>
          roles.includes("monitoring") && !listed.some((one) => one.node === name),
      )
      .map(({ name }) => ({ node: name, running: false }));
    if (own.length + gone.length > 0)
      return [...own, ...gone].map((one) => ({ ...one, beside: false }));
  }
  try {
    return await withBeside(ctx, async (nodes) => {
      const listed = (await nodes.list()).find(({ node }) => node === NODE);
      if (listed !== undefined && !listed.roles.includes("monitoring")) return [];
      const { isAnythingLeft } = await import("../../../providers/nodes/docker/left.ts");
      const whose = { env: ctx.env, cluster: ctx.target.cluster! };
      if (listed === undefined && !(await isAnythingLeft(whose, NODE))) return [];
      return [{ node: NODE, beside: true, running: listed?.state.running === "running" }];
    });
  } catch (error) {
    // Who is watched by programs of their own need not have one.
    if (!(error instanceof PgdbaError) || error.code !== "connection_failed") throw error;
    ctx.warn(`${error.message}: whether a node there watches ${ctx.target.name} is not known`);
    return [];
  }
}
