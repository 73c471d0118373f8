import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import { type ClusterEntry, readClusterFile } from "../../../providers/registry/read.ts";

/** What is registered of the target: passwords and places of what monitors it are kept there. @throws PgdbaError capability_missing: it is not registered */
export async function entryOf({ target, run }: StepContext): Promise<ClusterEntry> {
  const { cluster } = target;
  const entry =
    cluster === null
      ? undefined
      : await readClusterFile(cluster, clusterFile(run.stateDir, cluster));
  if (entry !== undefined) return entry;
  throw new PgdbaError(
    "capability_missing",
    `${target.name} is not registered, so that nothing can be kept of what monitors it`,
    {
      hint: "Name it with --cluster. `pgdba cluster connect --name NAME --patroni-url http://HOST:8008` registers one that Patroni runs; `pgdba cluster connect --name NAME --pg-host HOST` a server alone.",
    },
  );
}
