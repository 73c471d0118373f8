/** Whether a later run has set archiving up: what this one had done for it is then that one's. */
import type { StepContext } from "../../../engine/types.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import { readClusterFile } from "../../../providers/registry/read.ts";
import { recorderOf } from "../../../providers/registry/record.ts";

/** Who has recorded the repository last; to be noted before anything is changed. */
export async function repositoryBy({ target, run }: StepContext): Promise<string | null> {
  const { cluster } = target;
  if (cluster === null || cluster === undefined) return null;
  const entry = await readClusterFile(cluster, clusterFile(run.stateDir, cluster));
  return entry === undefined ? null : recorderOf(entry.data, "repository");
}

/** For whoever takes back, with what was noted. */
export async function isSetSince(ctx: StepContext, noted: string | null): Promise<boolean> {
  const by = await repositoryBy(ctx);
  if (by === null || by === noted) return false;
  ctx.warn(`Run ${by} has set archiving up since, with what this one had done for it: that stays`);
  return true;
}
