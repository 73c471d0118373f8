import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";

/** The input by which a step names its cluster; null, or no input, means the cluster of the run. */
export const NAME = {
  type: ["string", "null"],
  minLength: 1,
  description: "The cluster; by default that of --cluster",
} as const;

/** @throws PgdbaError invalid_param when neither the input nor the run names a cluster */
export function clusterName(ctx: StepContext, name: string | null | undefined): string {
  const found = name ?? ctx.target.cluster;
  if (found !== null) return found;
  throw new PgdbaError("invalid_param", "No cluster is named", {
    hint: "Name one with --cluster NAME; `pgdba cluster list` shows those that are registered.",
  });
}

/**
 * The cluster whose entry a step makes, labels or takes away: it is named by whoever starts the run.
 * @throws PgdbaError invalid_param
 */
export function namedCluster(ctx: StepContext): string {
  const name = ownCluster(ctx);
  if (ctx.target.assumed !== true) return name;
  throw new PgdbaError("invalid_param", "No cluster is named", {
    hint: `Name it, when ${name} is meant: --cluster ${name}.`,
  });
}

/**
 * The cluster whose entry a step changes: that of the run alone, for only this one was judged and locked.
 * @throws PgdbaError invalid_param when the run has none
 */
export function ownCluster(ctx: StepContext): string {
  return clusterName(ctx, null);
}
