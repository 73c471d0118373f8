import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { listClusters } from "../../../providers/registry/folder.ts";
import { namedCluster } from "../entry/name.ts";

interface At {
  host: string;
  port: number | string;
}

const text = ({ host, port }: At): string => `${host}:${port}`;

/** One cluster has one entry: two would be locked and labelled each for itself. @throws PgdbaError step_refused */
export async function assertNew(
  ctx: StepContext,
  identity: string,
  at: readonly At[],
): Promise<void> {
  const own = namedCluster(ctx);
  const places = new Set(at.map(text));
  const other = (await listClusters(ctx.run.stateDir)).find(
    ({ name, entry }) =>
      name !== own &&
      entry?.identity === identity &&
      [
        ...(entry.spec === null ? [] : [entry.spec]),
        ...(entry.data.nodes ?? []).flatMap(({ address, reach }) => reach ?? address ?? []),
      ].some((one) => places.has(text(one))),
  );
  if (other === undefined) return;
  throw new PgdbaError("step_refused", `This cluster is registered already, as ${other.name}`, {
    hint: `Use --cluster ${other.name}; or forget that entry first: pgdba cluster forget --cluster ${other.name}.`,
  });
}
