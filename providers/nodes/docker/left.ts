/** What a node has left on the Engine whose container is gone: somebody else has removed it, and not its volumes and not what stood beside it. */
import { ask, openEngine } from "./engine.ts";
import type { Whose } from "./grafana.ts";
import { filter, LABEL } from "./record.ts";

/** Whether anything there has the label of the node: a container of any kind, or a volume. */
export async function isAnythingLeft({ env, cluster }: Whose, node: string): Promise<boolean> {
  const engine = openEngine(env);
  const filters = filter(cluster, { [LABEL.node]: node });
  const containers = await ask(engine, "list containers", () =>
    engine.docker.listContainers({ all: true, filters }),
  );
  if (containers.length > 0) return true;
  const { Volumes } = await ask(engine, "list volumes", () =>
    engine.docker.listVolumes({ filters: JSON.stringify(filters) as never }),
  );
  return (Volumes ?? []).length > 0;
}
